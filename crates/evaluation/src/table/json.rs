//! The table as JSON.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::frame::{bootstrapped, end_names};
use super::{COLUMNS, MORE, Row, SWEEP_PREFIX, Table, TableError};

/// A row as an object with the columns of `table.csv`, in their order.
struct Object<'a> {
    row: &'a Row,
    sweep_keys: &'a [String],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = self.row;
        let mut map = serializer.serialize_map(None)?;
        let text = |text: &'_ String| Some(text.clone()).filter(|text| !text.is_empty());
        for name in COLUMNS {
            match name {
                "experiment" => map.serialize_entry(name, &text(&row.experiment))?,
                "cell" => map.serialize_entry(name, &text(&row.cell))?,
                "seed" => map.serialize_entry(name, &row.seed)?,
                "detector" => map.serialize_entry(name, &text(&row.detector))?,
                "score" => map.serialize_entry(name, &text(&row.score))?,
                "benchmark" => map.serialize_entry(name, &text(&row.benchmark))?,
                "protocol" => map.serialize_entry(name, &text(&row.protocol))?,
                "id_set" => map.serialize_entry(name, &text(&row.id_set))?,
                "ood_set" => map.serialize_entry(name, &text(&row.ood_set))?,
                "group" => map.serialize_entry(name, &text(&row.group))?,
                "n_id" => map.serialize_entry(name, &row.n_id)?,
                "n_ood" => map.serialize_entry(name, &row.n_ood)?,
                "auroc" => map.serialize_entry(name, &row.auroc)?,
                "auroc_low" => map.serialize_entry(name, &row.auroc_low)?,
                "auroc_high" => map.serialize_entry(name, &row.auroc_high)?,
                "aupr_in" => map.serialize_entry(name, &row.aupr_in)?,
                "aupr_out" => map.serialize_entry(name, &row.aupr_out)?,
                "fpr95_id" => map.serialize_entry(name, &row.fpr95_id)?,
                "fpr95_ood" => map.serialize_entry(name, &row.fpr95_ood)?,
                "rule" => map.serialize_entry(name, &text(&row.rule))?,
                "id_list" => map.serialize_entry(name, &text(&row.id_list))?,
                "ood_list" => map.serialize_entry(name, &text(&row.ood_list))?,
                "run" => map.serialize_entry(name, &text(&row.run))?,
                // COLUMNS is written out above; a test compares the names with those of the CSV.
                other => return Err(serde::ser::Error::custom(format!("no value for column {other}"))),
            }
        }
        for metric in MORE {
            map.serialize_entry(metric.name(), &row.value(metric))?;
        }
        for metric in bootstrapped() {
            for (end, name) in end_names(metric).iter().enumerate() {
                map.serialize_entry(name, &row.intervals.get(&metric).map(|ends| ends[end]))?;
            }
        }
        for key in self.sweep_keys {
            map.serialize_entry(&format!("{SWEEP_PREFIX}{key}"), &row.sweep.get(key))?;
        }
        map.end()
    }
}

impl Table {
    /// The table as a JSON array of objects, one a row: the columns of [`Table::to_csv`] in their order, metrics 0..1 in their shortest form, absent values and empty texts as null.
    ///
    /// # Errors
    /// None is known: every value has a form in JSON.
    pub fn to_json(&self) -> Result<String, TableError> {
        let rows: Vec<Object<'_>> = self.rows.iter().map(|row| Object { row, sweep_keys: &self.sweep_keys }).collect();
        let mut text = serde_json::to_string_pretty(&rows)?;
        text.push('\n');
        Ok(text)
    }
}
