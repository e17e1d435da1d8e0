//! Where the work runs.

use std::fmt;
use std::str::FromStr;

/// A compute device. This build computes on the CPU; naming another device is an error that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The processor, with all threads of the pool.
    #[default]
    Cpu,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
        }
    }
}

/// The text names no device of this build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown device {0:?}: this build computes on `cpu` (or `auto`, which is the same here)")]
pub struct UnknownDevice(pub String);

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Device, UnknownDevice> {
        match text {
            "cpu" | "auto" => Ok(Device::Cpu),
            other => Err(UnknownDevice(other.to_owned())),
        }
    }
}
