use super::*;
use crate::domain::failure::Remedy;

#[test]
fn a_storage_that_fails_is_worth_another_try() {
    let failures = [
        StorageError::NotFound,
        StorageError::Unavailable {
            source: io::Error::from(io::ErrorKind::StorageFull),
        },
    ]
    .map(Failure::from);

    for failure in &failures {
        assert_eq!(
            (failure.code, failure.remedy),
            ("storage_failed", Remedy::Retry)
        );
    }
    assert!(failures[1].message.contains("no storage space"));
}
