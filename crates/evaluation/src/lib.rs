//! Metrics with their uncertainty, tables and figures, from plain scores.
//!
//! Nothing here knows a model, a feature or an image: what comes in are outlier scores (f64, **higher = more
//! out-of-distribution**), names and counts.
//!
//! * [`metrics`]: AUROC with its DeLong interval, AUPR and FPR95 in both directions, exact on integer counts;
//! * [`table`]: the rows of `table.csv`, means over groups of sets, and tables arranged as an experiment asks, for print and as data;
//! * [`published`]: what papers and leaderboards printed, to stand beside ours;
//! * [`scores`]: `scores.parquet`, and reading anybody's scores from CSV, Parquet or JSON lines;
//! * [`figures`]: ROC curves, score histograms, sweeps and losses as SVG and PNG;
//! * [`comparisons`]: which scores are tested against each other;
//! * [`record`]: all that an experiment left behind, from which everything is drawn;
//! * [`report`]: all of it in one HTML file, and two experiments side by side;
//! * [`columns`]: Parquet as plain columns, for whoever keeps a table of other things in it (polars stays in this crate);
//! * [`golden`]: the golden cases of every operating-point rule.
//!
//! Everything is a pure function of its arguments: the same input gives the same bytes for any number of threads.

pub mod bench;
pub mod columns;
pub mod comparisons;
pub mod figures;
pub mod golden;
pub mod metrics;
pub mod published;
pub mod record;
pub mod report;
pub mod scores;
pub mod table;

pub use golden::self_check;
pub use metrics::{Counts, FprRule, Metric, MetricError, Metrics, Positive, Recall, Warning, evaluate};
pub use record::Record;
pub use table::{Row, Table, TableError, TableSpec};
