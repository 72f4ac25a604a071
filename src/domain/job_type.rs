//! What a job makes: the `type` of a row.
//!
//! An app writes it as text, and so it is carried along: whether there is such a type is asked where the
//! row is read ([`super::Request::parse`]), so that a misspelled one fails its own job and nothing else.

use std::fmt;

/// The types that have a name, whether this version works them or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum JobType {
    /// What existing apps insert, and what a row is that says nothing: its wishes have columns.
    #[default]
    PhotoGeneration,
    /// Pictures of a prompt, or of one prompt for each; the wishes are in the payload.
    ImageGeneration,
    /// A picture changed as a prompt says, in its own shape.
    ImageEdit,
    /// A person in other clothes.
    TryOn,
}

impl JobType {
    pub const ALL: [Self; 4] = [
        Self::PhotoGeneration,
        Self::ImageGeneration,
        Self::ImageEdit,
        Self::TryOn,
    ];
    /// Those that are asked for with a prompt; a try-on has a form of its own.
    pub const PROMPTED: [Self; 3] = [
        Self::PhotoGeneration,
        Self::ImageGeneration,
        Self::ImageEdit,
    ];

    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PhotoGeneration => "photo_generation",
            Self::ImageGeneration => "image_generation",
            Self::ImageEdit => "image_edit",
            Self::TryOn => "tryon",
        }
    }

    /// The type of that word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

impl fmt::Display for JobType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
