use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    http: HttpArgs,
}

fn origins(list: &str) -> Result<Vec<String>, ConfigError> {
    let origins = format!("--cors-origins={list}");
    Arguments::parse_from(["serve", &origins]).http.origins()
}

#[test]
fn origins_are_written_as_browsers_write_them() {
    let check = |list: &str, expected: &[&str]| {
        assert_eq!(origins(list).unwrap(), expected, "{list}");
    };

    check("", &[]);
    check(
        "https://App.example.com/, http://localhost:3000",
        &["https://app.example.com", "http://localhost:3000"],
    );
    check("https://app.example.com:443", &["https://app.example.com"]);
}

#[test]
fn what_is_no_origin_is_refused_by_name() {
    for bad in [
        "*",
        "https://*.example.com",
        "app.example.com",
        "https://app.example.com/page",
        "https://app.example.com?x",
        "https://me@app.example.com",
        "ftp://app.example.com",
        "null",
    ] {
        let error = origins(bad).unwrap_err();

        assert!(error.to_string().contains(bad), "{error}");
    }
}
