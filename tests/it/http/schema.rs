//! The document at `/openapi.json` is true: it has every route, and every answer is one that it knows.
//!
//! What is answered is judged by schemathesis, which makes some thousand requests out of the document,
//! right and wrong ones.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use url::Url;

use crate::harness::{Served, Stage};

const KEY: &str = "key-of-the-service";
const SERVICE: &[&str] = &[
    "--api-keys=*:key-of-the-service",
    "--caller-requests-per-minute=0",
    "--queue-max-waiting=0",
];
/// Put there by `scripts/test`.
const SCHEMATHESIS: &str = "target/tools/schemathesis/bin/schemathesis";
/// Is every answer in the document, with this body and these headers; is what the document forbids
/// refused? Not `positive_data_acceptance`: that a job has ended, say, is not in a request's shape.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection";
/// Requests of each operation in a phase, about.
const EXAMPLES: &str = "20";
/// Half a minute alone, and more beside other tests; below the time at which a test is ended.
const LONGEST: Duration = Duration::from_mins(5);
/// Requests in vain: a tick waits for a worker, which is not here.
const WITHOUT: &str = "^/api/tick$";

impl Stage {
    /// Jobs in every state, two of them a batch.
    async fn one_of_each(&self, server: &Served) {
        let jobs = json!({"userId": "7", "jobs": [{"prompt": "a lake"}, {"prompt": "a hill", "numImages": 1}]});
        let (status, batch) = server.post("/api/batches", KEY, jobs).await;
        assert_eq!(status, 202, "{batch}");
        self.job("a bay [sim:400]", 2).await;
        self.drain().await;
        self.sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", status, "lockedAt")
               SELECT 'a sea', '7', status, CASE status WHEN 'processing' THEN now() END
               FROM unnest(ARRAY['pending', 'processing', 'rate_limited', 'canceled']) AS status"#,
        )
        .await;
        let states = "SELECT count(DISTINCT status) FROM photo_generation_queue";
        assert_eq!(self.number(states).await, 6);
    }
}

/// What schemathesis cannot find in the document: which jobs there are, and the words of headers. Each is
/// taken for a part of the requests, so that the others ask for what is not there.
async fn settings(server: &Served) -> String {
    let (_, job) = server.get("/api/generations/1", KEY).await;
    let picture = Url::parse(&server.url).unwrap();
    let picture = picture.join(job["imageUrl"].as_str().unwrap()).unwrap();
    let signed = |name: &str| {
        let (_, value) = picture.query_pairs().find(|(key, _)| key == name).unwrap();
        value.into_owned()
    };
    let mut settings = String::from(
        r#"
        max-stream-events = 4
        request-timeout = 30
        dictionaries.jobs.values = ["1", "2", "3", "4", "5", "6", "7"]
        dictionaries.batches.values = [1]
        dictionaries.keys.values = ["one", "two"]
        dictionaries.waits.values = ["wait=0"]
        dictionaries.tags.values = ["*"]
        dictionaries.ends.values = ["done"]
        [parameters]
        "path.jobId" = { dictionary = "jobs", probability = 0.7 }
        "path.id" = { dictionary = "batches", probability = 0.7 }
        "header.Idempotency-Key" = { dictionary = "keys", probability = 0.3 }
        "header.Prefer" = { dictionary = "waits", probability = 0.3 }
        "header.If-None-Match" = { dictionary = "tags", probability = 0.3 }
        "header.Last-Event-ID" = { dictionary = "ends", probability = 0.3 }
        # A job that has not ended would be followed for ever.
        [[operations]]
        include-path = "/api/generations/{jobId}/events"
        parameters = { jobId = "1" }
        phases.stateful.enabled = false
        "#,
    );
    let key = picture.path().strip_prefix("/files/").unwrap();
    let (expires, signature) = (signed("expires"), signed("signature"));
    write!(
        settings,
        r#"
        [[operations]]
        include-path = "/files/{{key}}"
        parameters = {{ key = "{key}", expires = "{expires}", signature = "{signature}" }}
        phases.coverage.enabled = false
        "#
    )
    .unwrap();
    settings
}

#[tokio::test]
async fn every_answer_is_one_that_the_document_knows() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHEMATHESIS);
    assert!(
        program.exists(),
        "there is no {SCHEMATHESIS}: run scripts/test once, which installs it"
    );
    let stage = Stage::new().await;
    let server = stage.serve(SERVICE).await;
    stage.one_of_each(&server).await;
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("schemathesis.toml");
    std::fs::write(&config, settings(&server).await).unwrap();

    let mut command = Command::new(program);
    command
        .current_dir(folder.path())
        .kill_on_drop(true)
        .arg("--config-file")
        .arg(config)
        .args(["run", &format!("{}/openapi.json", server.url)])
        .args(["--header", &format!("X-Api-Key: {KEY}")])
        .args(["--checks", CHECKS, "--max-examples", EXAMPLES])
        .args(["--exclude-path-regex", WITHOUT])
        .args(["--generation-with-security-parameters", "false"])
        .args([
            "--generation-deterministic",
            "--continue-on-failure",
            "--no-color",
        ]);
    let output = tokio::time::timeout(LONGEST, command.output()).await;

    let output = output.expect("schemathesis came to no end").unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("{report}\n{errors}");
    assert!(output.status.success(), "see above what is not true");
}

/// The document of a server, and its operations: `GET /health core`.
async fn document() -> (Value, BTreeSet<String>) {
    let stage = Stage::new().await;
    let server = stage.serve(SERVICE).await;
    let (status, document) = server.get("/openapi.json", KEY).await;
    assert_eq!(status, 200);
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().unwrap().iter();
        operations.map(move |(method, operation)| {
            let tags: Vec<_> = operation["tags"].as_array().unwrap().iter().collect();
            let tags = tags.iter().map(|tag| tag.as_str().unwrap());
            let tags = tags.collect::<Vec<_>>().join(" ");
            format!("{} {path} {tags}", method.to_uppercase())
        })
    });
    let operations = operations.collect();
    (document, operations)
}

#[tokio::test]
async fn the_document_has_every_route_and_says_which_of_them_stay() {
    let expected = [
        "GET /api/batches/{id} extra",
        "GET /api/batches/{id}/download extra",
        "GET /api/credits extra",
        "GET /api/generations extra",
        "GET /api/generations/status extra",
        "GET /api/generations/{jobId} core",
        "GET /api/generations/{jobId}/download core",
        "GET /api/generations/{jobId}/events extra",
        "GET /api/generations/{jobId}/status extra",
        "GET /api/tryon/jobs/{jobId} extra",
        "GET /files/{key} extra",
        "GET /health core",
        "GET /metrics extra",
        "GET /openapi.json extra",
        "GET /ready extra",
        "POST /api/batches extra",
        "POST /api/generations core",
        "POST /api/generations/{jobId}/cancel core",
        "POST /api/generations/{jobId}/retry core",
        "POST /api/tick extra",
        "POST /api/tryon extra",
        "POST /api/uploads extra",
    ];

    let (_, operations) = document().await;

    assert_eq!(operations, expected.map(str::to_owned).into());
}

#[tokio::test]
async fn names_in_a_path_are_parameters_of_their_operation() {
    let (document, _) = document().await;

    for (path, operations) in document["paths"].as_object().unwrap() {
        let pieces = path.split('/');
        let named: BTreeSet<_> = pieces
            .filter_map(|piece| piece.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        for operation in operations.as_object().unwrap().values() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let in_path = parameters.filter(|parameter| parameter["in"] == "path");
            let in_path: BTreeSet<_> = in_path
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            assert_eq!(in_path, named, "{path}");
        }
    }
}

#[tokio::test]
async fn no_two_operations_have_one_name() {
    let (document, operations) = document().await;

    let paths = document["paths"].as_object().unwrap().values();
    let named = paths.flat_map(|path| path.as_object().unwrap().values());
    let names: BTreeSet<_> = named
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();

    assert_eq!(names.len(), operations.len(), "{names:?}");
}
