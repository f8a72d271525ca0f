//! `exportTo`: which namespaces see an object.

use crate::problem::Located;
use crate::reader::Fields;

/// Namespaces that see an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ExportTo {
    /// Not said: as the mesh's default says, and without one everybody.
    #[default]
    Unset,
    All,
    Only {
        /// The object's own (`.`).
        own: bool,
        namespaces: Vec<String>,
    },
}

impl ExportTo {
    /// Of the words of a list: `*`, `.`, `~` for nobody, and names of namespaces.
    pub fn of<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        let words: Vec<&str> = words.into_iter().map(str::trim).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Self::Unset;
        }
        if words.contains(&"*") {
            return Self::All;
        }
        let namespaces = words.iter().filter(|word| !matches!(**word, "." | "~")).map(|word| (*word).to_owned());
        Self::Only { own: words.contains(&"."), namespaces: namespaces.collect() }
    }

    /// What holds where the mesh has a default.
    pub fn or<'a>(&'a self, default: &'a Self) -> &'a Self {
        match self {
            Self::Unset => default,
            Self::All | Self::Only { .. } => self,
        }
    }

    /// Whether a namespace sees an object of the namespace `owner`.
    pub fn includes(&self, owner: &str, namespace: &str) -> bool {
        match self {
            Self::All | Self::Unset => true,
            Self::Only { own, namespaces } => {
                (*own && owner == namespace) || namespaces.iter().any(|known| known == namespace)
            }
        }
    }
}

pub(crate) fn export_to(spec: &Fields<'_>) -> ExportTo {
    words(&spec.texts("exportTo"))
}

pub(crate) fn words(words: &[Located<String>]) -> ExportTo {
    ExportTo::of(words.iter().map(|word| word.value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_namespaces() {
        for (words, seen_by) in [
            (&[][..], ["a", "b", "c"].as_slice()),
            (&["*"], &["a", "b", "c"]),
            (&[".", "b"], &["a", "b"]),
            (&["~"], &[]),
            (&["c"], &["c"]),
        ] {
            let export = ExportTo::of(words.iter().copied());
            let seen: Vec<&str> =
                ["a", "b", "c"].into_iter().filter(|namespace| export.includes("a", namespace)).collect();
            assert_eq!(seen, seen_by, "{words:?}");
        }
    }
}
