//! The rules of the house, held as tests: what may depend on what, how large a file or function
//! may grow, which words may not stay, which links must lead somewhere. Each module is one group
//! of rules; this file finds the sources they look at.
#![forbid(unsafe_code)]

#[cfg(test)]
mod dependencies;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod layout;
#[cfg(test)]
mod sizes;
#[cfg(test)]
mod words;

#[cfg(test)]
mod source {
    //! The files of the repository, read once per test.

    use std::fs;
    use std::path::{Path, PathBuf};

    /// One text file of the repository.
    pub(crate) struct Source {
        /// Path from the repository's root, with forward slashes.
        pub(crate) path: String,
        /// The whole text.
        pub(crate) text: String,
    }

    impl Source {
        /// Whether the file is made by a program; its first line says so.
        pub(crate) fn is_generated(&self) -> bool {
            self.text.lines().next().is_some_and(|line| line.contains("@generated"))
        }

        /// Whether the file holds only tests.
        pub(crate) fn is_test(&self) -> bool {
            self.path.ends_with("/tests.rs")
                || self.path.contains("/tests/")
                || self.path.starts_with("tests/")
        }

        /// The production part: everything before the inline module of tests.
        pub(crate) fn production_lines(&self) -> Vec<&str> {
            let lines: Vec<&str> = self.text.lines().collect();
            let end = lines
                .windows(2)
                .position(|pair| {
                    pair[0].trim() == "#[cfg(test)]"
                        && pair[1].trim_start().starts_with("mod ")
                        && pair[1].trim_end().ends_with('{')
                })
                .unwrap_or(lines.len());
            lines[..end].to_vec()
        }
    }

    /// The root of the repository.
    pub(crate) fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
    }

    /// Every file whose name ends with one of `suffixes`, sorted by path. Build output, caches
    /// and hidden directories other than the listed ones are not looked at.
    pub(crate) fn files(suffixes: &[&str]) -> Vec<Source> {
        let mut found = Vec::new();
        walk(&root(), &root(), suffixes, &mut found);
        found.sort_by(|left, right| left.path.cmp(&right.path));
        assert!(!found.is_empty(), "no file ends with {suffixes:?}");
        found
    }

    fn walk(root: &Path, folder: &Path, suffixes: &[&str], found: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                let hidden = name.starts_with('.') && ![".ci", ".config"].contains(&&*name);
                if !hidden && name != "target" && name != "__pycache__" {
                    walk(root, &path, suffixes, found);
                }
            } else if suffixes.iter().any(|suffix| path.to_string_lossy().ends_with(suffix)) {
                let relative = path.strip_prefix(root).unwrap();
                let path_text = relative.to_string_lossy().replace('\\', "/");
                found.push(Source { path: path_text, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
}
