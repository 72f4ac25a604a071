//! The invariants at the head of `src/lib.rs`, checked on the text of the sources.
//!
//! A rule that stands only in a document does not last; here each is a test that names every
//! offender with file and line. It reads text, not syntax: comments are left out, and what hides
//! from it behind a macro or a renamed import is for review to find. Rules are functions over
//! sources, so that each is also shown a made-up offender and must find it.

mod source;

use source::{Source, committed, flatten, sources, top_level};

/// Who may know whom: a module of the top level, and the paths in the crate that it may name
/// beside its own. A module without a row may not exist.
const MAY_KNOW: [(&str, &[&str]); 14] = [
    ("domain", &[]),
    ("db", &["domain"]),
    ("providers", &["domain"]),
    ("net", &[]),
    ("images", &["domain", "net"]),
    // The bytes' true format decides an object's extension; who reads a project's pictures can store there.
    (
        "storage",
        &["domain", "images::PictureFormat", "images::SupabaseAccess"],
    ),
    // Not db: one attempt runs without Postgres.
    ("pipeline", &["domain", "providers", "images", "storage"]),
    ("webhooks", &["net"]),
    (
        "worker",
        &[
            "domain",
            "db",
            "pipeline",
            "providers",
            "storage",
            "images",
            "webhooks",
        ],
    ),
    // Not worker: enqueueing is an INSERT.
    ("api", &["domain", "db", "images", "net", "storage"]),
    // What a setting may say is known where the thing it sets is.
    (
        "config",
        &[
            "domain",
            "providers",
            "storage",
            "images",
            "net",
            "webhooks",
        ],
    ),
    ("telemetry", &["config"]),
    (
        "app",
        &[
            "domain",
            "db",
            "providers",
            "images",
            "net",
            "storage",
            "pipeline",
            "webhooks",
            "worker",
            "api",
            "config",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "db",
            "providers",
            "images",
            "net",
            "storage",
            "pipeline",
            "worker",
            "config",
            "telemetry",
            "app",
        ],
    ),
];

/// What `domain` would need for IO, for waiting, or to ask the time.
const NOT_IN_DOMAIN: [&str; 10] = [
    "async",
    "sqlx",
    "tokio",
    "reqwest",
    "axum",
    "std::fs",
    "std::env",
    "Utc::now",
    "Instant::now",
    "SystemTime::now",
];

/// Two states whose words mean nothing else; `"failed"` is also a state of an image.
const STATUS_WORDS: [&str; 2] = ["\"processing\"", "\"rate_limited\""];

/// Beyond this a file is a folder that was not born yet (aim: 300).
const LONGEST_FILE: usize = 500;

/// What may be seen at the top level; dotfiles and what `.gitignore` names come on top.
const TOP_LEVEL: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "migrations",
    "scripts",
    "sql",
    "src",
    "tests",
];

/// A folder of the machines that safelight was written on, in two halves so that this file passes.
const FOREIGN_PATH: &str = concat!("/wo", "rk/");

#[test]
fn modules_name_only_what_they_may_know() {
    check(&arrows_that_point_up(&sources("src")));
}

#[test]
fn the_domain_does_no_io_waits_for_nothing_and_asks_no_clock() {
    check(&domain_with_io(&sources("src")));
}

#[test]
fn sql_stands_only_in_db() {
    check(&sql_outside_db(&sources("src")));
}

#[test]
fn the_environment_is_read_only_in_config() {
    check(&environment_outside_config(&sources("src")));
}

#[test]
fn http_clients_are_built_only_where_their_rules_are() {
    check(&clients_elsewhere(&sources("src")));
}

#[test]
fn states_are_not_compared_as_text() {
    check(&status_words_outside_domain(&sources("src")));
}

#[test]
fn the_product_does_not_know_that_it_is_simulated() {
    check(&simulator_in_the_product(&sources("src")));
}

#[test]
fn no_source_file_is_too_long() {
    check(&too_long(&sources("src")));
}

#[test]
fn every_source_file_says_first_what_it_is() {
    check(&without_head(&sources("src"), "//! "));
}

#[test]
fn every_statement_of_the_queue_says_first_what_it_does() {
    check(&without_head(&sources("sql/queue"), "-- "));
}

#[test]
fn cargo_knows_of_every_statement_of_the_queue() {
    check(&unwatched(&sources("sql/queue"), &sources("src/db")));
}

#[test]
fn nothing_committed_names_a_folder_of_our_machines() {
    check(&foreign_paths(&committed()));
}

#[test]
fn the_top_level_holds_what_was_agreed_and_no_more() {
    let offenders = top_level()
        .into_iter()
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .map(|name| format!("{name}: not one of {TOP_LEVEL:?}"))
        .collect::<Vec<_>>();

    check(&offenders);
}

#[test]
fn each_rule_finds_its_offender() {
    type Rule = fn(&[Source]) -> Vec<String>;
    let statements: Rule = |sources| without_head(sources, "-- ");
    let heads: Rule = |sources| without_head(sources, "//! ");
    let too_many_lines = "\n".repeat(LONGEST_FILE + 1);
    let table: [(Rule, &str, &str); 17] = [
        (
            arrows_that_point_up,
            "src/db/jobs.rs",
            "use crate::worker::X;",
        ),
        (
            arrows_that_point_up,
            "src/db/jobs/tests.rs",
            "use crate::worker::X;",
        ),
        (
            arrows_that_point_up,
            "src/pipeline/mod.rs",
            "use crate::{domain::Job,\n db::X};",
        ),
        (
            arrows_that_point_up,
            "src/storage/key.rs",
            "crate::images::fetch::get()",
        ),
        (
            arrows_that_point_up,
            "src/db/jobs.rs",
            "use super::super::worker::X;",
        ),
        (
            arrows_that_point_up,
            "src/telemetry.rs",
            "use super::worker;",
        ),
        (arrows_that_point_up, "src/utils.rs", "fn anything() {}"),
        (
            domain_with_io,
            "src/domain/job.rs",
            "pub async fn load() {}",
        ),
        (
            sql_outside_db,
            "src/worker/claim.rs",
            "sqlx::query!(\"SELECT 1\")",
        ),
        (
            environment_outside_config,
            "src/cli/mod.rs",
            "std::env::var_os(\"HOME\")",
        ),
        (
            clients_elsewhere,
            "src/cli/mod.rs",
            "reqwest::Client::builder()",
        ),
        (
            status_words_outside_domain,
            "src/cli/list.rs",
            "if word == \"processing\" {",
        ),
        (
            simulator_in_the_product,
            "src/providers/gemini/wire.rs",
            "if url.has(\"Simulator\") {",
        ),
        (too_long, "src/db/jobs.rs", &too_many_lines),
        (heads, "src/db/jobs.rs", "use std::fmt;"),
        (statements, "sql/queue/claim.sql", "SELECT 1"),
        (foreign_paths, "README.md", concat!("cd /wo", "rk/main")),
    ];

    for (rule, path, text) in table {
        let offenders = rule(&[Source::new(path, text)]);

        assert!(!offenders.is_empty(), "nothing found in {path}: {text}");
        assert!(offenders[0].starts_with(path), "{offenders:?}");
    }
}

#[test]
fn no_rule_minds_what_is_allowed() {
    let sources = [
        Source::new(
            "src/domain/job.rs",
            "//! Not async.\nuse super::Status; // no tokio either",
        ),
        Source::new(
            "src/storage/key.rs",
            "//! x\nuse crate::images::PictureFormat;",
        ),
        Source::new(
            "src/pipeline/mod.rs",
            "//! Not [`crate::db`].\nuse crate::{domain, storage};",
        ),
        Source::new(
            "src/pipeline/tests.rs",
            "use super::*;\nlet x = simulator();",
        ),
        Source::new(
            "src/db/jobs.rs",
            "//! x\nsqlx::query!(\"... status = 'processing'\")",
        ),
        Source::new("src/net/client.rs", "//! x\nClient::builder()"),
        Source::new("src/api/auth/jwks.rs", "//! x\nClient::builder()"),
        Source::new(
            "src/config.rs",
            "//! x\nuse crate::storage;\nstd::env::var(\"A\")",
        ),
    ];

    check(&arrows_that_point_up(&sources));
    check(&domain_with_io(&sources));
    check(&sql_outside_db(&sources));
    check(&environment_outside_config(&sources));
    check(&clients_elsewhere(&sources));
    check(&status_words_outside_domain(&sources));
    check(&simulator_in_the_product(&sources));
    check(&without_head(&sources, "//! "));
}

#[test]
fn a_use_tree_is_the_paths_it_names() {
    let check = |tree: &str, expected: &[&str]| assert_eq!(flatten(tree), expected, "{tree}");

    check("db::jobs::claim;", &["db::jobs::claim"]);
    check(
        "db::{self, jobs::{claim, renew}};",
        &["db::self", "db::jobs::claim", "db::jobs::renew"],
    );
    check("{\n    db,\n    domain::Job,\n};", &["db", "domain::Job"]);
    check("domain::Job {", &["domain::Job"]);
    check("db::*;", &["db"]);
}

fn arrows_that_point_up(sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in sources {
        let modules = source.modules();
        let Some(own) = modules.first() else { continue };
        let Some((_, may_know)) = MAY_KNOW.iter().find(|(module, _)| module == own) else {
            offences.push(source.offence(0, &format!("{own} has no row in MAY_KNOW")));
            continue;
        };
        let within = |path: &str, place: &str| {
            path.strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        for (at, found) in source.code.match_indices("crate::") {
            for path in flatten(&source.code[at + found.len()..]) {
                if !within(&path, own) && !may_know.iter().any(|place| within(&path, place)) {
                    offences.push(source.offence(at, &format!("{own} may not know {path}")));
                }
            }
        }
        let to_the_root = "super::".repeat(modules.len());
        for (at, _) in source.code.match_indices(&to_the_root) {
            offences.push(source.offence(at, "leaves its module unseen: write crate::"));
        }
    }
    offences
}

fn domain_with_io(sources: &[Source]) -> Vec<String> {
    let why = "the domain is pure";
    in_files(
        sources,
        |source| source.is_below(&["src/domain/"]),
        &NOT_IN_DOMAIN,
        why,
    )
}

fn sql_outside_db(sources: &[Source]) -> Vec<String> {
    let elsewhere = |source: &Source| !source.is_test() && !source.is_below(&["src/db/"]);
    in_files(
        sources,
        elsewhere,
        &["sqlx::query", "sqlx::raw_sql"],
        "SQL stands in src/db",
    )
}

fn environment_outside_config(sources: &[Source]) -> Vec<String> {
    let elsewhere = |source: &Source| !source.is_below(&["src/config.rs", "src/config/"]);
    in_files(
        sources,
        elsewhere,
        &["env::var"],
        "settings are read in src/config.rs",
    )
}

fn clients_elsewhere(sources: &[Source]) -> Vec<String> {
    let elsewhere = |source: &Source| {
        !source.is_test()
            && !source.is_below(&[
                "src/net/client.rs",
                "src/providers/",
                "src/api/auth/jwks.rs",
            ])
    };
    // Each has rules of its own: for URLs of users, for paid calls, for the keys of one project.
    let why = "clients are built in src/net/client.rs, src/providers and src/api/auth/jwks.rs";
    in_files(
        sources,
        elsewhere,
        &["Client::builder", "ClientBuilder"],
        why,
    )
}

fn status_words_outside_domain(sources: &[Source]) -> Vec<String> {
    let elsewhere = |source: &Source| !source.is_test() && !source.is_below(&["src/domain/"]);
    in_files(sources, elsewhere, &STATUS_WORDS, "ask domain::Status")
}

fn simulator_in_the_product(sources: &[Source]) -> Vec<String> {
    let places = ["src/worker", "src/pipeline", "src/providers/gemini"];
    let product = |source: &Source| !source.is_test() && source.is_below(&places);
    let why = "what is simulated must run as what is real";
    in_files(sources, product, &["simulator", "Simulator"], why)
}

fn in_files(
    sources: &[Source],
    applies: impl Fn(&Source) -> bool,
    words: &[&str],
    why: &str,
) -> Vec<String> {
    let sources = sources.iter().filter(|source| applies(source));
    sources
        .flat_map(|source| source.with_words(words, why))
        .collect()
}

fn too_long(sources: &[Source]) -> Vec<String> {
    let lines = |source: &Source| source.text.lines().count();
    let sources = sources.iter().filter(|source| lines(source) > LONGEST_FILE);
    sources
        .map(|source| format!("{}:{}: too long", source.path, lines(source)))
        .collect()
}

fn without_head(sources: &[Source], head: &str) -> Vec<String> {
    let sources = sources.iter().filter(|source| !source.is_test());
    let headless = sources.filter(|source| !source.text.starts_with(head));
    headless
        .map(|source| format!("{}:1: does not open with \"{head}\"", source.path))
        .collect()
}

/// Statements that `src/db/mod.rs` does not include by name.
fn unwatched(statements: &[Source], db: &[Source]) -> Vec<String> {
    let list = db.iter().find(|source| source.path == "src/db/mod.rs");
    let watched = |path: &str| {
        list.is_some_and(|list| {
            list.code
                .contains(&format!("include_str!(\"../../{path}\")"))
        })
    };
    let statements = statements.iter().filter(|source| !watched(&source.path));
    statements
        .map(|source| format!("{}:1: is not in the list of src/db/mod.rs", source.path))
        .collect()
}

fn foreign_paths(sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            if line.contains(FOREIGN_PATH) {
                offences.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    offences
}

fn check(offenders: &[String]) {
    assert!(offenders.is_empty(), "\n{}\n", offenders.join("\n"));
}
