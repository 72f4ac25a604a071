//! Which types of an app's own columns our statements can work with as they are.
//!
//! Most are read as text or only copied, so that any type will do; what we write or compare must be
//! of a type that Postgres converts by itself.

use super::found::Column;

/// What a column must be able to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Read as text or copied, never written by us.
    Anything,
    /// Ids and counters: integer or bigint.
    Integer,
    /// Text of any length, and varchar, which is the same to us.
    Text,
    /// The words of `status`: text, varchar or an enum.
    Words,
    /// jsonb.
    Json,
    /// jsonb or json.
    ReadJson,
    /// timestamptz; timestamp is read as UTC.
    Moment,
    Uuid,
}

/// Columns that an app may have in any type.
const ANYTHING: [&str; 13] = [
    "userId",
    "teamId",
    "modelId",
    "exampleImageId",
    "exampleImageUrl",
    "exampleImagePrompt",
    "basePrompt",
    "aspectRatio",
    "glasses",
    "hairColor",
    "hairStyle",
    "backgrounds",
    "styles",
];

fn need(wanted: &Column) -> Need {
    match wanted.name.as_str() {
        name if ANYTHING.contains(&name) => Need::Anything,
        "status" => Need::Words,
        "trainingImageUrls" => Need::ReadJson,
        _ => match wanted.type_name.as_str() {
            "bigint" | "integer" => Need::Integer,
            "jsonb" => Need::Json,
            "timestamp with time zone" => Need::Moment,
            "uuid" => Need::Uuid,
            _ => Need::Text,
        },
    }
}

/// Whether our statements can use the column that is there in place of the one we would make.
pub(super) fn is_usable(wanted: &Column, there: &Column) -> bool {
    let type_name = there.type_name.as_str();
    let is_text = type_name == "text" || type_name.starts_with("character varying");
    !there.generated
        && match need(wanted) {
            Need::Anything => true,
            Need::Integer => matches!(type_name, "integer" | "bigint"),
            Need::Text => is_text,
            Need::Words => is_text || there.is_enum,
            Need::Json => type_name == "jsonb",
            Need::ReadJson => matches!(type_name, "jsonb" | "json"),
            Need::Moment => type_name.starts_with("timestamp"),
            Need::Uuid => type_name == "uuid",
        }
}

/// Texts that we write: a limit of their length would refuse what we have to say. Making it text
/// rewrites nothing.
pub(super) fn is_too_narrow(wanted: &Column, there: &Column) -> bool {
    need(wanted) == Need::Text && there.type_name.starts_with("character varying(")
}
