//! Times and amounts of memory as people write them in an experiment file, and as Slurm wants them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time limit in whole seconds, at least one: `90m`, `1h30m`, `2d`, or Slurm's own `MM:SS`, `HH:MM:SS`, `D-HH`, `D-HH:MM:SS`; a number
/// alone is minutes, as in Slurm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeLimit {
    seconds: u64,
}

impl TimeLimit {
    /// In seconds.
    pub fn seconds(self) -> u64 {
        self.seconds
    }
}

const TIME: &str = "a time such as 90m, 1h30m, 2d or 1-12:00:00 (a number alone is minutes)";

impl FromStr for TimeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<TimeLimit, String> {
        let seconds = if text.contains([':', '-']) { slurm_seconds(text) } else { unit_seconds(text) };
        // A year: what is longer is a slip.
        match seconds {
            Some(seconds @ 1..=31_622_400) => Ok(TimeLimit { seconds }),
            _ => Err(format!("expected {TIME}, found {text:?}")),
        }
    }
}

/// Digits only: `parse` alone would take a sign too.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// `[D-]HH[:MM[:SS]]` with days, else `MM:SS` or `HH:MM:SS`.
fn slurm_seconds(text: &str) -> Option<u64> {
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(number(days)?), clock),
        None => (None, text),
    };
    let fields: Vec<u64> = clock.split(':').map(number).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = match (days.is_some(), fields.as_slice()) {
        (_, &[hours, minutes, seconds]) => [hours, minutes, seconds],
        (true, &[hours, minutes]) => [hours, minutes, 0],
        (true, &[hours]) => [hours, 0, 0],
        (false, &[minutes, seconds]) => [0, minutes, seconds],
        _ => return None,
    };
    let days = days.unwrap_or(0).checked_mul(86_400)?;
    days.checked_add(hours.checked_mul(3600)?)?.checked_add(minutes.checked_mul(60)?)?.checked_add(seconds)
}

/// `1d2h3m4s`, units falling, or a number of minutes.
fn unit_seconds(text: &str) -> Option<u64> {
    if let Some(minutes) = number(text) {
        return minutes.checked_mul(60);
    }
    let (mut rest, mut seconds) = (text, 0_u64);
    for (unit, factor) in [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((count, behind)) = rest.split_once(unit) {
            seconds = seconds.checked_add(number(count)?.checked_mul(factor)?)?;
            rest = behind;
        }
    }
    rest.is_empty().then_some(seconds)
}

impl fmt::Display for TimeLimit {
    /// As Slurm reads it: `D-HH:MM:SS`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.seconds / 86_400, self.seconds % 86_400);
        write!(f, "{days}-{:02}:{:02}:{:02}", rest / 3600, rest % 3600 / 60, rest % 60)
    }
}

/// An amount of memory in bytes, at least one mebibyte: `512M`, `16G`, `1.5T`; `GB` and `GiB` mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory {
    bytes: u64,
}

impl Memory {
    /// In bytes.
    #[cfg(test)]
    pub fn bytes(self) -> u64 {
        self.bytes
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Memory, String> {
        let wrong = || format!("expected an amount of memory such as 512M, 16G or 1.5T, found {text:?}");
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (count, unit) = text.split_at(end);
        let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
            "m" | "mb" | "mib" => 1_u64 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            "t" | "tb" | "tib" => 1 << 40,
            _ => return Err(wrong()),
        };
        let bytes = count.parse::<f64>().map_err(|_| wrong())? * factor as f64;
        // A pebibyte: no node has it.
        if bytes < f64::from(1 << 20) || bytes > (1_u64 << 50) as f64 {
            return Err(wrong());
        }
        Ok(Memory { bytes: bytes.round() as u64 })
    }
}

impl fmt::Display for Memory {
    /// As Slurm reads it: whole mebibytes, rounded up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}M", self.bytes.div_ceil(1 << 20))
    }
}

/// GPUs of a task: how many, or of which kind, as in `a100:2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpus(String);

impl FromStr for Gpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Gpus, String> {
        let (kind, count) = text.rsplit_once(':').map_or((None, text), |(kind, count)| (Some(kind), count));
        let plain =
            |kind: &str| !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        match number(count) {
            Some(0..=64) if kind.is_none_or(plain) => Ok(Gpus(text.to_owned())),
            _ => Err(format!("expected a number of GPUs, or kind and number as in a100:1, found {text:?}")),
        }
    }
}

impl Gpus {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        !self.0.rsplit(':').next().is_some_and(|count| count.bytes().all(|digit| digit == b'0'))
    }
}

impl fmt::Display for Gpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value of a file: text, or a bare number.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Written {
    Number(u64),
    Text(String),
}

impl Written {
    fn text(self) -> String {
        match self {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text.trim().to_owned(),
        }
    }
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Written::deserialize(deserializer)?.text().parse().map_err(serde::de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

as_text!(TimeLimit, Memory, Gpus);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_and_slurm_write_them() {
        let read = |text: &str| text.parse::<TimeLimit>().map(TimeLimit::seconds);
        for (text, seconds) in [
            ("90m", 5400),
            ("1h30m", 5400),
            ("2d", 172_800),
            ("1d1s", 86_401),
            ("45", 2700),
            ("10:30", 630),
            ("01:30:00", 5400),
            ("1-12", 129_600),
            ("1-12:30", 131_400),
            ("1-00:00:01", 86_401),
        ] {
            assert_eq!(read(text), Ok(seconds), "{text}");
        }
        for wrong in ["", "0", "0m", "h", "1x", "m5", "-5", "1:2:3:4", "5m1h", "1.5h", "+5", "99999999d", "1-", "a:b"] {
            assert!(read(wrong).is_err_and(|told| told.contains("1h30m") && told.contains(wrong)), "{wrong}");
        }
    }

    #[test]
    fn a_time_is_written_as_slurm_reads_it_and_reads_back() {
        let limit: TimeLimit = "1d2h3m4s".parse().expect("a time");
        assert_eq!(limit.to_string(), "1-02:03:04");
        assert_eq!(limit.to_string().parse(), Ok(limit));
        assert_eq!("20m".parse::<TimeLimit>().expect("a time").to_string(), "0-00:20:00");
    }

    #[test]
    fn memory_needs_a_unit_and_is_rounded_up_to_mebibytes() {
        let read = |text: &str| text.parse::<Memory>();
        assert_eq!(read("512M").map(Memory::bytes), Ok(512 << 20));
        assert_eq!(read("1.5T").map(|memory| memory.to_string()), Ok("1572864M".to_owned()));
        assert_eq!(read("16 GiB").map(Memory::bytes), read("16g").map(Memory::bytes));
        assert_eq!(read("1.00001M").map(|memory| memory.to_string()), Ok("2M".to_owned()));
        for wrong in ["", "16", "G", "-1G", "0G", "1K", "1e3G", "9999999T", "1..5G"] {
            assert!(read(wrong).is_err_and(|told| told.contains("16G")), "{wrong}");
        }
    }

    #[test]
    fn gpus_have_a_number_and_perhaps_a_kind() {
        let read = |text: &str| text.parse::<Gpus>();
        assert!(read("2").is_ok_and(|gpus| gpus.any()));
        assert!(read("a100:1").is_ok_and(|gpus| gpus.any() && gpus.to_string() == "a100:1"));
        assert!(read("0").is_ok_and(|gpus| !gpus.any()));
        for wrong in ["", "a100", ":1", "a b:1", "1;rm", "-1", "a100:"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_of_a_file_may_be_bare_numbers() {
        assert_eq!(serde_yaml::from_str::<TimeLimit>("45").map(TimeLimit::seconds).ok(), Some(2700));
        assert_eq!(serde_yaml::from_str::<TimeLimit>("1:30:00").map(TimeLimit::seconds).ok(), Some(5400));
        assert_eq!(serde_yaml::from_str::<Gpus>("1").ok(), "1".parse().ok());
        let told = serde_yaml::from_str::<Memory>("16").map_err(|error| error.to_string());
        assert!(told.is_err_and(|told| told.contains("16G")));
    }
}
