use super::*;

fn read_query(text: &str) -> Result<Filter, ApiError> {
    read(
        url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect(),
    )
}

#[test]
fn a_query_that_makes_no_sense_is_refused() {
    let check = |query: &str, words: &str| {
        let error = read_query(query).unwrap_err();
        assert_eq!(error.code(), "invalid_request", "{query}");
        assert!(error.to_string().contains(words), "{query}: {error}");
    };

    check("limit=0", "1 to 100");
    check("limit=101", "1 to 100");
    check("limit=x", "1 to 100");
    check("cursor=x", "cursor");
    check("batchId=99999999999999999999", "batchId");
    check("status=done", "pending");
    check("active=yes", "true or false");
    check("metadata.=1", "metadata.");
    check("metadata.a=1&metadata.b=2", "One metadata.KEY");
    check("nonsense=1", "nonsense");
    check(&format!("ids={}", vec!["1"; 101].join(",")), "100");
}

#[test]
fn a_query_narrows_by_all_that_it_says() {
    let filter =
        read_query("status=failed,canceled&active=true&metadata.order=81&teamId=7").unwrap();

    assert_eq!(filter.statuses.len(), 5);
    assert_eq!(filter.metadata, Some(("order".to_owned(), "81".to_owned())));
    assert_eq!(filter.tenant, Some(Tenant::of(Some("7"), None)));
    let nothing = read_query("ids=nonsense").unwrap();
    assert_eq!(nothing.jobs, Some(vec![]));
}
