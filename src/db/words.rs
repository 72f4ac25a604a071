//! The words of the tables as our closed sets: the one codec between the two.
//!
//! A column is read with `status::text AS "status: Status"`, so that no statement's caller parses
//! words or compares them as text. A word that we do not know is an error of that row.

use std::str::FromStr;

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Type};

use crate::domain::{ImageState, Status};

impl Type<Postgres> for Status {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Status {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self::from_str(<&str as Decode<Postgres>>::decode(value)?)?)
    }
}

impl Type<Postgres> for ImageState {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for ImageState {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self::from_str(<&str as Decode<Postgres>>::decode(value)?)?)
    }
}

/// States as a statement takes them: a text array.
pub(super) fn words(statuses: &[Status]) -> Vec<String> {
    let words = statuses.iter().map(|status| status.as_str().to_owned());
    words.collect()
}
