//! The files that a check writes for build servers.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use oodlab_base::file::write_atomic;

use super::{CheckArguments, shown};
use crate::baseline::{self, Checked};
use crate::failure::settings;

/// JUnit XML and Markdown, where they are wanted.
pub struct Outputs {
    junit: Option<PathBuf>,
    markdown: Option<PathBuf>,
    append: bool,
}

impl Outputs {
    /// Makes sure, before any work starts, that the files can be written; those of an earlier check are removed, so that nobody takes
    /// them for those of this one.
    pub fn prepare(arguments: &CheckArguments) -> Result<Outputs> {
        let (junit, markdown) = (arguments.junit.clone(), arguments.markdown.clone());
        for path in junit.iter().chain(&markdown) {
            let appended = arguments.append && Some(path) == markdown.as_ref();
            prepare(path, appended).map_err(|error| settings(format!("cannot write {}: {error}", shown(path))))?;
        }
        Ok(Outputs { junit, markdown, append: arguments.append })
    }

    /// Writes both.
    pub fn write(&self, checked: &[Checked<'_>]) -> Result<()> {
        if let Some(path) = &self.junit {
            write_atomic(path, baseline::junit(checked).as_bytes())?;
        }
        match &self.markdown {
            Some(path) if self.append => {
                let mut file = fs_err::OpenOptions::new().append(true).create(true).open(path)?;
                file.write_all(baseline::markdown(checked).as_bytes())?;
            }
            Some(path) => write_atomic(path, baseline::markdown(checked).as_bytes())?,
            None => {}
        }
        Ok(())
    }
}

fn prepare(path: &Path, appended: bool) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs_err::create_dir_all(parent)?;
    }
    let existed = path.exists();
    fs_err::OpenOptions::new().append(true).create(true).open(path)?;
    if existed && appended { Ok(()) } else { fs_err::remove_file(path) }
}
