//! Which values are the best.

use std::collections::BTreeMap;

use super::text::hundred;
use super::{Arranged, Rank};
use crate::table::field::Field;
use crate::table::spec::Best;

/// Where a value stands: line, column, and its number within the cell.
type Place = (usize, usize, usize);

/// Marks the best and the second of the values that compete: those of a column (or row) that were measured on the same task, and of the same metric.
pub(super) fn mark(arranged: &mut Arranged, best: Best) {
    if best == Best::None {
        return;
    }
    let task = |fields: &[Field], values: &[String]| -> Vec<String> {
        let tasks = fields.iter().zip(values).filter(|(field, _)| field.changes_the_task());
        tasks.map(|(_, value)| value.clone()).collect()
    };
    let mut competitions: BTreeMap<_, Vec<(f64, Place)>> = BTreeMap::new();
    for (line_at, line) in arranged.lines.iter().enumerate() {
        for (column_at, cell) in line.cells.iter().enumerate() {
            let Some(cell) = cell.as_ref().filter(|cell| !cell.partial && !cell.reported) else { continue };
            let column = &arranged.column_values[column_at];
            let key = match best {
                Best::Row => (line.values.clone(), task(&arranged.fields.1, column)),
                _ => (task(&arranged.fields.0, &line.values), column.clone()),
            };
            for (at, value) in cell.values.iter().enumerate() {
                let Some(value) = value else { continue };
                let sign = if value.metric.higher_is_better() { 1.0 } else { -1.0 };
                let place = (line_at, column_at, at);
                competitions.entry((key.clone(), value.metric)).or_default().push((sign * value.value, place));
            }
        }
    }
    for values in competitions.into_values().filter(|values| values.len() > 1) {
        // What prints the same is equally good.
        let printed = |value: f64| hundred(value.abs(), arranged.decimals);
        let mut order = values.clone();
        order.sort_by(|one, other| other.0.total_cmp(&one.0));
        let first = printed(order[0].0);
        let second = order.iter().map(|(value, _)| printed(*value)).find(|text| *text != first);
        let second = second.filter(|_| values.len() > 2);
        for (value, (line, column, at)) in values {
            let text = printed(value);
            let rank = match &second {
                _ if text == first => Rank::Best,
                Some(second) if text == *second => Rank::Second,
                _ => Rank::Other,
            };
            if let Some(Some(value)) = arranged.lines[line].cells[column].as_mut().map(|cell| cell.values[at].as_mut())
            {
                value.rank = rank;
            }
        }
    }
}
