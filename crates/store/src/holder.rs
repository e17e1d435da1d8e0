//! Who holds a lease, and whether they still live.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// One process in one process table, as far as another process of the same table can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The machine's name, for people.
    pub host: String,
    /// What two processes share exactly when each sees the other under its process number: name of the machine, its
    /// start (boot id) and its process namespace, hashed. Empty where the system does not tell.
    pub(crate) table: String,
    /// The process number.
    pub pid: u32,
    /// When the process began, in ticks since the machine's start: tells a process from a later one of equal number.
    pub(crate) started: u64,
}

impl Process {
    /// This process.
    pub fn this() -> &'static Process {
        static THIS: OnceLock<Process> = OnceLock::new();
        THIS.get_or_init(|| {
            let read = |path: &str| fs_err::read_to_string(path).unwrap_or_default().trim().to_owned();
            let host = read("/proc/sys/kernel/hostname");
            let boot = read("/proc/sys/kernel/random/boot_id");
            let namespace =
                fs_err::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default();
            let pid = std::process::id();
            let started = started(pid);
            let table = if boot.is_empty() || namespace.is_empty() || started.is_none() {
                String::new()
            } else {
                blake3::hash(format!("{host}\n{boot}\n{namespace}").as_bytes()).to_hex()[..16].to_owned()
            };
            let host = if host.is_empty() { "unknown".to_owned() } else { host };
            Process { host, table, pid, started: started.unwrap_or_default() }
        })
    }

    /// Whether the process lives; none when this process cannot tell (it ran on another machine, in another container,
    /// or before this machine was started anew).
    #[must_use]
    pub fn lives(&self) -> Option<bool> {
        let this = Process::this();
        if this.table.is_empty() || self.table != this.table {
            return None;
        }
        Some(started(self.pid) == Some(self.started))
    }

    /// The process as part of a file name.
    pub(crate) fn tag(&self) -> String {
        let table = if self.table.is_empty() { "0" } else { &self.table };
        format!("{table}-{}-{}", self.pid, self.started)
    }

    /// Reads [`Process::tag`] back; the host is not in it.
    pub(crate) fn from_tag(tag: &str) -> Option<Process> {
        let mut fields = tag.split('-');
        let table = fields.next()?.to_owned();
        let pid = fields.next()?.parse().ok()?;
        let started = fields.next()?.parse().ok()?;
        Some(Process { host: String::new(), table, pid, started })
    }
}

/// When a process of this table began; none when it does not exist, or is dead and only waits to be noticed.
fn started(pid: u32) -> Option<u64> {
    let text = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses, which may itself hold blanks and parentheses (proc_pid_stat(5)).
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    // The state was field 3; the start time is field 22.
    fields.nth(18)?.parse().ok()
}

/// What a lease's file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// The process.
    #[serde(flatten)]
    pub(crate) process: Process,
    /// A name for this one holding.
    pub(crate) token: String,
    /// Rises while the holder lives; of constant length, so that the file is overwritten in place.
    pub(crate) beat: String,
}

impl Holder {
    /// This process, holding under a new token.
    pub(crate) fn new() -> Holder {
        Holder { process: Process::this().clone(), token: crate::token::fresh(), beat: Holder::beat(0) }
    }

    /// The text of the n-th sign of life.
    pub(crate) fn beat(count: u64) -> String {
        format!("{count:020}")
    }

    /// The bytes of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // A struct of strings and numbers can always be written as JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a file; none when it was not written by this program, or not to its end.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Holder> {
        serde_json::from_slice(bytes).ok()
    }
}

/// What tells one holding from another: its token, or the hash of a file without one.
pub(crate) fn mark(bytes: &[u8]) -> String {
    let token = Holder::decode(bytes).map(|holder| holder.token);
    // A token becomes part of a file name: one of another form is not trusted.
    match token {
        Some(token) if token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()) => token,
        _ => blake3::hash(bytes).to_hex()[..32].to_owned(),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_a_later_one_of_its_number_is_another() {
        let this = Process::this();
        assert_eq!(this.lives(), Some(true));
        assert_eq!(Process { started: this.started + 1, ..this.clone() }.lives(), Some(false));
        assert_eq!(Process { table: "elsewhere".to_owned(), ..this.clone() }.lives(), None);
        let again = Process::from_tag(&this.tag()).expect("its own tag");
        assert_eq!((&again.table, again.pid, again.started), (&this.table, this.pid, this.started));
    }

    #[test]
    fn a_child_dies_even_before_its_parent_looks() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a child process");
        let process = Process {
            pid: child.id(),
            started: started(child.id()).expect("a living child"),
            ..Process::this().clone()
        };
        assert_eq!(process.lives(), Some(true));
        child.kill().expect("killing the child");
        // Not waited for yet: a zombie is in the table, and dead.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while process.lives() == Some(true) && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(process.lives(), Some(false));
        child.wait().expect("the child's end");
    }

    #[test]
    fn hostile_tokens_do_not_become_file_names() {
        let holder = Holder { token: "../../../../etc/passwd-0123456789".to_owned(), ..Holder::new() };
        assert!(mark(&holder.encode()).bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(mark(&Holder { token: "é".repeat(16), ..holder }.encode()).len(), 32);
    }
}
