//! JSON that is the app's own: passed on letter by letter.
//!
//! Parsed into values it would not come out as it went in: Postgres holds numbers of any length and
//! nestings of any depth. A text that is no JSON, from a column that an app made, is passed on as one.

use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Type};

/// A JSON document as it is written. Read a column with `column::text AS "column: Json"`.
#[derive(Clone, Debug)]
pub struct Json(Box<RawValue>);

impl Json {
    /// # Errors
    /// Only for what is no document of JSON, such as a map whose keys are not texts.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        to_raw_value(value).map(Self)
    }

    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl FromStr for Json {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        RawValue::from_string(text.trim().to_owned()).map(Self)
    }
}

impl Type<Postgres> for Json {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Json {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let text = <&str as Decode<Postgres>>::decode(value)?;
        Ok(text.parse().or_else(|_| Self::of(&text))?)
    }
}

#[cfg(test)]
mod tests;
