//! Sources as text: what the rules of `tidy` look at, and where they find it.
//!
//! Read from the disk rather than from git, so that a file is held to the rules before it is
//! committed.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file as the rules see it.
pub(super) struct Source {
    /// From the crate's root, with slashes.
    pub(super) path: String,
    pub(super) text: String,
    /// The same lines without their comments.
    pub(super) code: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let without_comment = |line: &str| {
            let whole = line.trim_start().starts_with("//");
            let end = if whole { Some(0) } else { line.find(" // ") };
            line[..end.unwrap_or(line.len())].to_owned()
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: text
                .lines()
                .map(without_comment)
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }

    pub(super) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    pub(super) fn is_below(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    /// The modules that lead to this file: `["db", "jobs"]` for `src/db/jobs.rs`, none for the
    /// roots of the crate.
    pub(super) fn modules(&self) -> Vec<&str> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let last_is_no_module = |name: &&str| !["mod", "lib", "main"].contains(name);
        inner.split('/').filter(last_is_no_module).collect()
    }

    pub(super) fn offence(&self, at: usize, what: &str) -> String {
        let line = self.code[..at].matches('\n').count() + 1;
        format!("{}:{line}: {what}", self.path)
    }

    /// Every place in the code where one of the words stands, also within a longer one.
    pub(super) fn with_words(&self, words: &[&str], why: &str) -> Vec<String> {
        let mut offences = Vec::new();
        for word in words {
            for (at, _) in self.code.match_indices(word) {
                offences.push(self.offence(at, &format!("{word}: {why}")));
            }
        }
        offences
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file below a folder; none where there is no such folder yet.
pub(super) fn sources(folder: &str) -> Vec<Source> {
    files_below(&root().join(folder))
        .iter()
        .map(|path| read(path))
        .collect()
}

pub(super) fn committed() -> Vec<Source> {
    let paths = top_level().into_iter().map(|name| root().join(name));
    paths
        .flat_map(|path| files_below(&path))
        .map(|path| read(&path))
        .collect()
}

/// Pictures among the fixtures are read as text with gaps, which is text enough.
fn read(path: &Path) -> Source {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
    Source::new(&name.replace('\\', "/"), &String::from_utf8_lossy(&bytes))
}

/// The names at the top level, without git's own and what `.gitignore` names.
pub(super) fn top_level() -> Vec<String> {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: Vec<_> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let entries = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.into_string().unwrap());
    names
        .filter(|name| name != ".git" && !ignored.contains(&name.as_str()))
        .collect()
}

/// The path itself if it is a file; in a fixed order, so that two runs report alike.
fn files_below(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else {
        return path
            .is_file()
            .then(|| path.to_owned())
            .into_iter()
            .collect();
    };
    let mut inside: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    inside.sort();
    inside.iter().flat_map(|path| files_below(path)).collect()
}

/// The paths that a `use` tree or an expression names: `a::{b, c::d}` is `a::b` and `a::c::d`.
pub(super) fn flatten(tree: &str) -> Vec<String> {
    let part_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let end = tree.find(|c| !part_of_path(c)).unwrap_or(tree.len());
    let (head, rest) = tree.split_at(end);
    match rest.strip_prefix('{') {
        Some(group) if head.is_empty() || head.ends_with("::") => branches(group)
            .into_iter()
            .flat_map(flatten)
            .map(|tail| format!("{head}{tail}"))
            .collect(),
        _ => vec![head.trim_end_matches(':').to_owned()],
    }
}

/// The members of a group, up to the brace that closes it.
fn branches(group: &str) -> Vec<&str> {
    let (mut depth, mut began, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(group[began..at].trim());
                began = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|branch| !branch.is_empty());
    found
}
