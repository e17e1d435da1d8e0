//! How long work tells how far it is. The binary draws bars; libraries only count.

/// Something that shows the progress of tasks.
pub trait Progress: Send + Sync {
    /// Begins a task of `total` units (`images`, `epochs`, ..), of which `done` are finished already (a resumed task).
    fn task(&self, label: &str, unit: &'static str, total: u64, done: u64) -> Box<dyn Task>;
}

/// A task under way. Dropping it ends it.
pub trait Task: Send + Sync {
    /// Counts finished units.
    fn advance(&self, units: u64);
    /// Shows a short remark beside the bar: the loss, say.
    fn remark(&self, text: &str);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn task(&self, _label: &str, _unit: &'static str, _total: u64, _done: u64) -> Box<dyn Task> {
        Box::new(Silent)
    }
}

impl Task for Silent {
    fn advance(&self, _units: u64) {}
    fn remark(&self, _text: &str) {}
}
