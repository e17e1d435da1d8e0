//! What a manifest must fulfil beyond its types.

use std::collections::BTreeSet;

use super::{Format, Manifest, Pattern, Role, is_inside};

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
        self.format_problem().or_else(|| self.file_problem()).or_else(|| self.split_problem())
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
            Format::Idx {} | Format::ImageFolder { .. } | Format::ZipImages { .. } => None,
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
            match &file.split {
                Some(split) if !self.splits.contains_key(split) => {
                    return Some(format!("files: {path:?} belongs to split {split:?}, which is not listed"));
                }
                None if file.role != Role::Marker => return Some(format!("files: {path:?} needs a split")),
                _ => {}
            }
            for (sum, digits) in [(&file.sha256, 64), (&file.unpacked_sha256, 64), (&file.md5, 32)] {
                if let Some(sum) = sum
                    && (sum.len() != digits || !sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
                {
                    return Some(format!(
                        "files: {path:?}: expected {digits} lower-case hexadecimal digits, found {sum:?}"
                    ));
                }
            }
            if file.role == Role::Marker && file.sha256.is_none() {
                return Some(format!("files: marker {path:?} needs a sha256"));
            }
        }
        None
    }

    fn split_problem(&self) -> Option<String> {
        for (name, split) in &self.splits {
            let files = self.files.iter().any(|file| file.split.as_ref() == Some(name) && file.role == Role::Images);
            if let Some(folder) = split.folders.iter().find(|folder| *folder != "." && !is_inside(folder)) {
                return Some(format!("split {name:?}: folder {folder:?} must be relative, without '..'"));
            }
            match self.format {
                Format::ImageFolder { .. } if split.folders.is_empty() => {
                    return Some(format!("split {name:?} needs `folders`"));
                }
                Format::CifarBinary { .. } | Format::Idx {} | Format::ZipImages { .. } if !files => {
                    return Some(format!("split {name:?} has no images file"));
                }
                _ => {}
            }
        }
        None
    }
}
