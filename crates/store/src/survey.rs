//! What lies in a store: every artifact with its size, age and state, and whether it is sound.
//!
//! Only folders `<stage>/<2 digits>/<64 digits>` are artifacts; whatever else lies in the store's folder is not looked at.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;

use crate::artifact::{DONE, Done, FORMAT};
use crate::error::StoreError;
use crate::file;
use crate::lease::Holding;
use crate::part;
use crate::place;
use crate::root::Store;

const OPERATION: &str = "looking through the store";

/// A holder of whom nobody here can tell whether they live, and who gave no sign of life for so long, is dead. Signs come
/// every few seconds.
const SILENCE: Duration = Duration::from_secs(3600);

/// One artifact as it lies in the store.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The stage, as its folder is called.
    pub stage: String,
    /// The key: 64 hexadecimal digits.
    pub key: String,
    /// Where it lies.
    pub folder: PathBuf,
    /// Indices of its parts, ascending.
    pub parts: Vec<usize>,
    /// Bytes of all its files.
    pub size_bytes: u64,
    /// Since its newest file was written, by the file system's clock.
    pub age: Duration,
    /// What the stage noted when it finished; none when it did not.
    pub note: Option<BTreeMap<String, String>>,
    /// Who works on it at this moment.
    pub in_use: Option<Holding>,
    /// Files of leases, and of claims on them, whose holders are dead.
    pub dead_leases: Vec<DeadLease>,
}

/// The file of a dead holder, as it was when it was looked at: another may stand at its path by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLease {
    /// The file.
    pub path: PathBuf,
    /// What it said, the sign of life included.
    pub(crate) bytes: Vec<u8>,
}

/// Something wrong with an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl Store {
    /// Every artifact, in order of stage and key.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn survey(&self) -> Result<Vec<Stored>, StoreError> {
        let now = self.root.now(OPERATION)?;
        let mut found = Vec::new();
        for stage in folders(&self.root.path)? {
            // The folder of temporary files is no stage: names of stages hold no dot.
            if stage.contains('.') {
                continue;
            }
            for prefix in folders(&self.root.path.join(&stage))? {
                for key in folders(&self.root.path.join(&stage).join(&prefix))? {
                    let is_key = key.len() == 64 && key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                    if is_key && key.starts_with(&prefix) && prefix.len() == 2 {
                        let folder = self.root.path.join(&stage).join(&prefix).join(&key);
                        found.extend(look_at(stage.clone(), key, folder, now)?);
                    }
                }
            }
        }
        found.sort_by(|a, b| (&a.stage, &a.key).cmp(&(&b.stage, &b.key)));
        Ok(found)
    }
}

impl Stored {
    /// Reads every part and compares checksums, and the list of a finished artifact with what is there. `read` is told how
    /// many bytes were read, again and again.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn verify(&self, read: &dyn Fn(u64)) -> Result<Vec<Damage>, StoreError> {
        let mut damages = Vec::new();
        let mut sums = BTreeMap::new();
        for &index in &self.parts {
            let path = self.folder.join(part::file_name(index));
            let failed = StoreError::io("verifying a part", &path);
            let file = match fs::File::open(&path) {
                // Removed since (a checkpoint that a later one replaced).
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(failed)?,
            };
            match part::verify(file, read).map_err(StoreError::io("verifying a part", &path))? {
                Ok(trailer) => drop(sums.insert(index, trailer.checksum.to_hex().to_string())),
                Err(reason) => damages.push(Damage { path, reason }),
            }
        }
        let done = self.folder.join(DONE);
        let Some(bytes) = file::read(&done).map_err(StoreError::io(OPERATION, &done))? else { return Ok(damages) };
        let reason = match serde_json::from_slice::<Done>(&bytes) {
            Err(error) => Some(format!("it cannot be read: {error}")),
            Ok(done) if done.key != self.key => Some(format!("it belongs to {}", done.key)),
            Ok(done) => {
                let differs =
                    |(index, part): &(usize, &crate::artifact::DonePart)| sums.get(index) != Some(&part.blake3);
                let first = done.parts.iter().enumerate().find(differs);
                first.map(|(index, _)| format!("it names a part {index} that is damaged, missing or another"))
            }
        };
        damages.extend(reason.map(|reason| Damage { path: done, reason }));
        Ok(damages)
    }

    /// Removes what is damaged, so that whoever needs it computes it again: the files named, and the note that the artifact
    /// is finished.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove(&self, damages: &[Damage]) -> Result<(), StoreError> {
        if damages.is_empty() {
            return Ok(());
        }
        // The note first: should this process be killed in between, no note speaks of parts that are gone.
        let done = self.folder.join(DONE);
        for path in std::iter::once(&done).chain(damages.iter().map(|damage| &damage.path)) {
            file::remove(path).map_err(StoreError::io("removing what is damaged", path))?;
        }
        Ok(())
    }
}

/// Names of the folders in a folder, links apart; none when it is gone.
fn folders(folder: &Path) -> Result<Vec<String>, StoreError> {
    let failed = || StoreError::io(OPERATION, folder);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed())?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed())?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.extend(entry.file_name().to_str().map(str::to_owned));
        }
    }
    Ok(names)
}

/// One artifact; nothing when it disappeared meanwhile.
fn look_at(stage: String, key: String, folder: PathBuf, now: SystemTime) -> Result<Option<Stored>, StoreError> {
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(StoreError::io(OPERATION, &folder))?,
    };
    let mut stored = Stored {
        stage,
        key,
        folder: folder.clone(),
        parts: Vec::new(),
        size_bytes: 0,
        age: Duration::MAX,
        note: None,
        in_use: None,
        dead_leases: Vec::new(),
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io(OPERATION, &folder))?;
        // Files come and go while others work.
        let Ok(data) = entry.metadata() else { continue };
        let age = data.modified().ok().and_then(|then| now.duration_since(then).ok()).unwrap_or_default();
        stored.size_bytes += data.len();
        stored.age = stored.age.min(age);
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str() else { continue };
        if let Some(index) = part::index_of(name) {
            stored.parts.push(index);
        } else if place::is_lease(name) || place::is_claim(name) {
            let Some(place::Seen { bytes, holding, lives }) = place::look(&path)? else { continue };
            if lives.unwrap_or(age < SILENCE) {
                stored.in_use = Some(holding);
            } else {
                stored.dead_leases.push(DeadLease { path, bytes });
            }
        }
    }
    if stored.age == Duration::MAX {
        // An empty folder: as old as itself.
        let modified = fs::metadata(&folder).and_then(|data| data.modified()).ok();
        stored.age = modified.and_then(|then| now.duration_since(then).ok()).unwrap_or_default();
    }
    stored.parts.sort_unstable();
    stored.dead_leases.sort_by(|a, b| a.path.cmp(&b.path));
    let done = file::read(&folder.join(DONE)).map_err(StoreError::io(OPERATION, &folder))?;
    let done = done.and_then(|bytes| serde_json::from_slice::<Done>(&bytes).ok());
    stored.note = done.filter(|done| done.format == FORMAT && done.key == stored.key).map(|done| done.note);
    Ok(Some(stored))
}
