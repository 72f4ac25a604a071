use super::*;

#[track_caller]
fn check(text: &str, expected: Result<&[(&str, &str)], KeysError>) {
    let parsed = parse_keys(text).map(|accounts| {
        let pair = |account: &Account| {
            let key = account.key.header();
            (account.name.clone(), key.to_str().unwrap().to_owned())
        };
        accounts.iter().map(pair).collect::<Vec<_>>()
    });

    let expected = expected.map(|pairs| {
        let owned = |&(name, key): &(&str, &str)| (name.to_owned(), key.to_owned());
        pairs.iter().map(owned).collect::<Vec<_>>()
    });
    assert_eq!(parsed, expected, "{text:?}");
}

#[test]
fn keys_come_with_or_without_an_account() {
    check("one", Ok(&[("default", "one")]));
    check(" one ,\n", Ok(&[("default", "one")]));
    check(
        "shop: one, shop:two ,blog:three",
        Ok(&[("shop", "one"), ("shop", "two"), ("blog", "three")]),
    );
    check(
        "first-key,second-key,third-key",
        Ok(&[
            ("default", "first-key"),
            ("key-f397f260", "second-key"),
            ("key-c3459480", "third-key"),
        ]),
    );
    check(
        "shop:named,first-key,second-key",
        Ok(&[
            ("shop", "named"),
            ("default", "first-key"),
            ("key-f397f260", "second-key"),
        ]),
    );
}

#[test]
fn what_is_no_key_is_refused_by_its_place() {
    check("", Err(KeysError::Missing));
    check(" \n", Err(KeysError::Missing));
    check(",,", Err(KeysError::Missing));
    check("a:b:c", Err(KeysError::NotAKey { entry: 1 }));
    check("one,shop:", Err(KeysError::NotAKey { entry: 2 }));
    check("one two", Err(KeysError::NotAKey { entry: 1 }));
    check("one,kéy", Err(KeysError::NotAKey { entry: 2 }));
    check(":one", Err(KeysError::NotAName { entry: 1 }));
    check("my shop:one", Err(KeysError::NotAName { entry: 1 }));
    check("one,,shop:one", Err(KeysError::Repeated { entry: 3 }));
}

#[test]
fn a_key_written_where_the_account_belongs_is_refused_and_not_quoted() {
    let key = "AIzaSyA-0123456789-0123456789-012345678";

    let error = parse_keys(&format!("{key}:shop")).unwrap_err();

    assert_eq!(error, KeysError::NotAName { entry: 1 });
    assert!(!error.to_string().contains(key));
}

#[test]
fn a_missing_key_names_the_setting() {
    let sentence = parse_keys(" ").unwrap_err().to_string();

    assert!(sentence.contains("GEMINI_API_KEY"), "{sentence}");
}

#[test]
fn a_key_is_never_printed() {
    let accounts = parse_keys("shop:hush-hush").unwrap();

    assert_eq!(
        format!("{accounts:?}"),
        "[Account { name: \"shop\", key: *** }]"
    );
    assert!(accounts[0].key.header().is_sensitive());
}
