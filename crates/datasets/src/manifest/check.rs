//! What a manifest must fulfil beyond its types.

use std::collections::BTreeSet;

use super::{FolderClasses, Format, Manifest, Pattern, Role, is_inside};

impl Manifest {
    /// The first thing that is wrong with it.
    pub(super) fn problem(&self) -> Option<String> {
        let name_ok = |name: &str| {
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
            !name.is_empty() && !name.starts_with('.') && name.chars().all(allowed)
        };
        if !name_ok(&self.name) {
            return Some(format!(
                "name {:?}: expected lower-case letters, digits, '-', '_' and '.', not beginning with '.'",
                self.name
            ));
        }
        if self.splits.is_empty() {
            return Some("splits: expected at least one".into());
        }
        if let (Some(classes), false) = (self.classes, self.class_names.is_empty())
            && classes as usize != self.class_names.len()
        {
            return Some(format!("classes is {classes}, but class_names has {} entries", self.class_names.len()));
        }
        if self.image_size.is_some_and(|(width, height)| width == 0 || height == 0 || width.max(height) > 16_384) {
            return Some("image_size: expected [width, height], each in 1..=16384".into());
        }
        if let Some(sums) = &self.sums
            && (!is_inside(sums) || sums.contains('/') || !sums.ends_with(".sha256"))
        {
            return Some(format!("sums: expected the name of a file *.sha256 beside the manifest, found {sums:?}"));
        }
        if let Some(path) = self.broken.iter().find(|path| !is_inside(path)) {
            return Some(format!("broken: path {path:?} must be relative, without '..'"));
        }
        let statistics = [self.mean, self.deviation].into_iter().flatten().flatten();
        if statistics.into_iter().any(|value| !(0.0..=1.0).contains(&value)) {
            return Some("mean and deviation are of values in 0..1".into());
        }
        self.format_problem()
            .or_else(|| self.file_problem())
            .or_else(|| self.archive_problem())
            .or_else(|| self.split_problem())
    }

    fn format_problem(&self) -> Option<String> {
        match &self.format {
            Format::CifarBinary { labels, label } => {
                if !labels.contains(label) || labels.len() > 16 {
                    return Some(format!("format: label {label:?} is not one of the label bytes {labels:?}"));
                }
                self.image_size.is_none().then(|| "cifar-binary needs image_size".into())
            }
            Format::Generated { pattern, .. } => {
                let problem = match *pattern {
                    Pattern::GaussianNoise { mean, deviation } => {
                        !(mean.is_finite() && deviation.is_finite() && deviation >= 0.0)
                    }
                    Pattern::UniformNoise {} => false,
                    Pattern::Stripes { period: (least, greatest) } => {
                        !(least > 0.0 && least <= greatest && greatest.is_finite())
                    }
                    Pattern::Blobs { density, blur, threshold } => {
                        !((0.0..=1.0).contains(&density)
                            && (0.1..=64.0).contains(&blur)
                            && (0.0..=1.0).contains(&threshold))
                    }
                };
                if problem {
                    return Some("format: a parameter of the pattern is out of range".into());
                }
                if self.splits.values().any(|split| split.images.is_none_or(|n| n > 10_000_000)) {
                    return Some("a generated set needs `images` in every split, at most 10,000,000".into());
                }
                self.image_size.is_none().then(|| "a generated set needs image_size".into())
            }
            Format::Planes { .. } => self.image_size.is_none().then(|| "planes need image_size".into()),
            Format::TarImages { label: Some(ending) } if ending.is_empty() || ending.contains(['/', '.']) => {
                Some(format!("format: label {ending:?} is no ending of a file"))
            }
            Format::Idx { .. }
            | Format::Mat { .. }
            | Format::Numpy { .. }
            | Format::ImageFolder { .. }
            | Format::ZipImages { .. }
            | Format::TarImages { .. }
            | Format::ParquetImages { .. } => None,
        }
    }

    fn file_problem(&self) -> Option<String> {
        let mut seen = BTreeSet::new();
        for file in &self.files {
            let path = &file.path;
            if !is_inside(path) {
                return Some(format!("files: path {path:?} must be relative, without '..'"));
            }
            if !seen.insert(path) {
                return Some(format!("files: path {path:?} appears twice"));
            }
            if let Some(split) = file.split.iter().chain(&file.splits).find(|split| !self.splits.contains_key(*split)) {
                return Some(format!("files: {path:?} belongs to split {split:?}, which is not listed"));
            }
            let of_none = file.split.is_none() && file.splits.is_empty();
            if of_none && matches!(file.role, Role::Images | Role::Labels) {
                return Some(format!("files: {path:?} needs a split"));
            }
            if let Some(sum) = wrong_digits(&[(&file.sha256, 64), (&file.unpacked_sha256, 64), (&file.md5, 32)]) {
                return Some(format!("files: {path:?}: {sum}"));
            }
            if file.role == Role::Marker && file.sha256.is_none() {
                return Some(format!("files: marker {path:?} needs a sha256"));
            }
        }
        None
    }

    fn archive_problem(&self) -> Option<String> {
        let mut seen = BTreeSet::new();
        for archive in &self.archives {
            let path = &archive.path;
            if !is_inside(path) || path.contains('/') || !seen.insert(path) {
                return Some(format!("archives: {path:?} must be a file name, without '/', given once"));
            }
            if ![".tar", ".tar.gz", ".tgz", ".zip"].iter().any(|ending| path.ends_with(ending)) {
                return Some(format!("archives: {path:?} must end in .tar, .tar.gz, .tgz or .zip"));
            }
            if archive.root.as_ref().is_some_and(|root| !is_inside(root)) {
                return Some(format!("archives: the root of {path:?} must be relative, without '..'"));
            }
            if let Some(split) = archive.splits.iter().find(|split| !self.splits.contains_key(*split)) {
                return Some(format!("archives: {path:?} belongs to split {split:?}, which is not listed"));
            }
            if let Some(sum) = wrong_digits(&[(&archive.sha256, 64), (&archive.md5, 32)]) {
                return Some(format!("archives: {path:?}: {sum}"));
            }
        }
        for conversion in &self.conversions {
            let (from, to) = conversion.names();
            if !is_inside(from) || from.contains('/') {
                return Some(format!("conversions: {from:?} must be a name, without '/'"));
            }
            if !self.files.iter().any(|file| file.path == to) {
                return Some(format!("conversions: {to:?} is none of the files"));
            }
        }
        None
    }

    fn split_problem(&self) -> Option<String> {
        for (name, split) in &self.splits {
            let files = self.files.iter().any(|file| file.is_of(name) && file.role == Role::Images);
            if let Some(folder) = split.folders.iter().find(|folder| *folder != "." && !is_inside(folder)) {
                return Some(format!("split {name:?}: folder {folder:?} must be relative, without '..'"));
            }
            match self.format {
                Format::ImageFolder { .. } if split.folders.is_empty() => {
                    return Some(format!("split {name:?} needs `folders`"));
                }
                Format::ImageFolder { .. } | Format::Generated { .. } => {}
                _ if !files => return Some(format!("split {name:?} has no images file")),
                _ => {}
            }
            if split.classes.is_some() && !matches!(self.format, Format::ImageFolder { .. }) {
                return Some(format!("split {name:?}: only image folders have `classes` a split"));
            }
            if self.folder_classes(name) == FolderClasses::Listed && self.class_names.is_empty() {
                return Some(format!("split {name:?}: `classes: listed` needs class_names"));
            }
            let Some(list) = &split.list else { continue };
            if !matches!(self.format, Format::ImageFolder { .. }) {
                return Some(format!("split {name:?}: only image folders have lists"));
            }
            let other = list.labels_from.as_deref();
            for list in [Some(list), other].into_iter().flatten() {
                if !self.files.iter().any(|file| file.path == list.file && file.role == Role::List) {
                    return Some(format!("split {name:?}: list {:?} is no file of role `list`", list.file));
                }
            }
            if other.is_some_and(|other| other.labels_from.is_some() || other.label.is_none()) {
                return Some(format!("split {name:?}: labels_from needs a `label`, and no `labels_from` of its own"));
            }
        }
        None
    }
}

/// The first checksum that is not of its length in lower-case hexadecimal.
fn wrong_digits(sums: &[(&Option<String>, usize)]) -> Option<String> {
    let good = |sum: &str, digits| sum.len() == digits && sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let (sum, digits) =
        sums.iter().find_map(|&(sum, digits)| Some((sum.as_ref().filter(|sum| !good(sum, digits))?, digits)))?;
    Some(format!("expected {digits} lower-case hexadecimal digits, found {sum:?}"))
}
