//! The published tables there are.

use std::collections::BTreeMap;

use oodlab_base::text;

use super::{PublishedError, PublishedTable};

include!(concat!(env!("OUT_DIR"), "/published.rs"));

/// Published tables by name. Files are read when they are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    files: BTreeMap<String, String>,
}

impl Default for Library {
    fn default() -> Library {
        Library::builtin()
    }
}

impl Library {
    /// Those that are compiled in: `datasets/published/*.yaml`.
    #[must_use]
    pub fn builtin() -> Library {
        let files = PUBLISHED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Library { files }
    }

    /// Adds a file of the user, which replaces one of the same name.
    #[must_use]
    pub fn with(mut self, name: &str, text: &str) -> Library {
        self.files.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Names of the tables, in byte order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// A table.
    ///
    /// # Errors
    /// When there is none of that name, or its file is not of the form.
    pub fn table(&self, name: &str) -> Result<PublishedTable, PublishedError> {
        let text = self.files.get(name).ok_or_else(|| PublishedError::Unknown {
            name: name.to_owned(),
            known: self.names().collect::<Vec<_>>().join(", "),
            hint: text::hint(name, self.names()),
        })?;
        PublishedTable::parse(name, text)
    }
}
