//! `README.md` says what is so: its tables are those of the program, and its commands run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use safelight::domain::model::DEFAULT_MODEL;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::harness::Stage;
use crate::ops;

/// The groups of settings in the order of the table.
const HEADINGS: [&str; 9] = [
    "Database",
    "Provider",
    "Storage and input images",
    "S3 storage",
    "Worker",
    "HTTP",
    "Webhooks",
    "Fleet",
    "Logs",
];
/// The two that prove themselves: the demo has its own test, and this is run by the other.
const SCRIPTS: [&str; 2] = ["scripts/demo", "scripts/test"];
/// Where the README's pictures come from.
const EXAMPLE_HOST: &str = "https://example.com";
/// The job that the README cancels, and makes again. It must not be over by then.
const CANCELED_PROMPT: &str = "a blue bicycle";
/// Where the server of the README answers; beside other tests it needs an address of its own.
const SERVER: &str = "127.0.0.1:8088";
/// What it shows of files: from where, and to where they end or to this line.
const SHOWN: [(&str, &str, &str); 3] = [
    (
        "scripts/nextjs/app/api/generations/[jobId]/download/route.js",
        "",
        "",
    ),
    ("scripts/Caddyfile", "photos.example.com {\n", ""),
    ("scripts/nginx.conf", "    location / {\n", "\n    }\n"),
];
/// All commands together; they take a few seconds.
const PATIENCE: Duration = Duration::from_mins(2);

#[test]
fn the_settings_are_those_that_the_program_takes() {
    let expected = settings_table();

    assert!(
        readme().contains(&expected),
        "README.md lacks this table of settings:\n\n{expected}"
    );
    // In that one the default is written by hand.
    let model = settings()
        .into_iter()
        .find(|setting| setting.variable == "GEMINI_MODEL_NAME");
    assert_eq!(model.unwrap().default, DEFAULT_MODEL);
}

#[test]
fn the_example_of_an_environment_names_every_setting() {
    let example = text(".env.example");
    for setting in settings() {
        let line = |line: &str| {
            line.trim_start_matches('#')
                .starts_with(&format!("{}=", setting.variable))
        };
        let another_name = format!("({} is read too)", setting.variable);

        assert!(
            example.lines().any(line) || example.contains(&another_name),
            "{} is not in .env.example",
            setting.variable
        );
    }
    for line in example.lines() {
        let Some((variable, _)) = line.trim_start_matches('#').split_once('=') else {
            continue;
        };
        let is_variable = variable.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        assert!(
            !is_variable
                || settings()
                    .iter()
                    .any(|setting| setting.variable == variable),
            "{variable} in .env.example is no setting"
        );
    }
}

#[test]
fn every_file_for_operators_stands_in_it_with_what_it_is_for() {
    let readme = readme();
    for file in ops::files() {
        let row = format!("| [`{file}`](sql/ops/{file}) | {} |", purpose(&file));

        assert!(readme.contains(&row), "README.md lacks this row:\n{row}");
    }
}

#[test]
fn what_it_shows_of_files_is_what_stands_in_them() {
    for (file, from, to) in SHOWN {
        let text = text(file);
        let (_, rest) = text.split_at(text.find(from).unwrap());
        let end = rest.find(to).filter(|end| *end > 0);
        let shown = &rest[..end.map_or(rest.len(), |end| end + to.len())];

        assert!(
            readme().contains(&format!("```text\n{shown}```\n")),
            "README.md lacks this of {file}:\n{shown}"
        );
    }
}

#[test]
fn it_promises_nothing_exactly_once() {
    for line in readme().to_lowercase().lines() {
        assert!(
            !line.contains("exactly once") || line.contains("not "),
            "{line}"
        );
    }
}

#[tokio::test]
async fn every_command_in_it_runs() {
    let mut stage = Stage::new().await;
    stage.url = empty_database(&stage).await;
    stage.pool = PgPool::connect(&stage.url).await.unwrap();
    let folder = folder();
    let pictures = pictures().await;
    let server = free_address().await;
    let script = script(&readme())
        .replace(SERVER, &server)
        .replace(EXAMPLE_HOST, &format!("http://{pictures}"))
        .replace(CANCELED_PROMPT, &format!("{CANCELED_PROMPT} [sim:slow=5s]"));

    let shell = Command::new("timeout")
        .args(["--kill-after=5", &PATIENCE.as_secs().to_string()])
        .args(["bash", "-euo", "pipefail", "-x", "-c", &script])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", path())
        .env("RUST_LOG", "warn")
        .env("DATABASE_URL", &stage.url)
        .env("BIND", server)
        .env("GEMINI_BASE_URL", stage.simulator.base_url())
        .env(
            "GEMINI_API_KEY",
            safelight::providers::simulator::DEFAULT_KEY,
        )
        .env("STORAGE", format!("local:{}", stage.photos().display()))
        .env("IMAGE_FETCH_ALLOW", pictures)
        .output()
        .await
        .unwrap();

    let trace = String::from_utf8_lossy(&shell.stderr);
    let said = String::from_utf8_lossy(&shell.stdout);
    assert!(shell.status.success(), "{trace}\n{said}");
    let ends =
        "SELECT string_agg(concat_ws(' ', id, status, \"imagesCompleted\"), ', ' ORDER BY id)
                FROM photo_generation_queue";
    assert_eq!(
        stage.text(ends).await,
        "1 completed 4, 2 completed 2, 3 completed 1, 4 completed 2, 5 completed 4, 6 canceled 0, 7 completed 1, 8 completed 1, 9 completed 2, 10 completed 2, 11 completed 1, 12 completed 1, 13 completed 1"
    );
    // Those of the app's own table came by photo_generation_on_image, from where it was replaced.
    assert!(stage.number("SELECT count(*) FROM photos").await >= 7);
    stage.assert_photos().await;
}

/// The blocks of the README as one script, as a reader would type them: what they export is set
/// already, and the worker goes on while the rest is typed in another terminal.
fn script(readme: &str) -> String {
    let mut lines = vec!["trap 'kill $(jobs -p); wait' EXIT".to_owned()];
    for (language, block) in blocks(readme) {
        match language {
            "text" => {}
            "sql" => {
                let psql = "psql --no-psqlrc --set=ON_ERROR_STOP=1 \"$DATABASE_URL\"";
                lines.push(format!("{psql} <<'SQL'\n{block}\nSQL"));
            }
            "sh" => {
                for line in block.lines() {
                    let (command, _) = line.split_once("  #").unwrap_or((line, ""));
                    let command = command.trim_end();
                    if SCRIPTS.contains(&command) || command.starts_with("export ") {
                        continue;
                    }
                    let background = if command == "safelight run" { " &" } else { "" };
                    lines.push(format!("{command}{background}"));
                }
            }
            other => panic!("a block is sh, sql or text, not \"{other}\":\n{block}"),
        }
    }
    lines.join("\n")
}

/// Language and text of each fenced block.
fn blocks(readme: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push((language, block.join("\n")));
    }
    blocks
}

/// A setting, as its clap argument says it.
struct Setting {
    heading: usize,
    variable: String,
    default: String,
    meaning: String,
}

/// Every setting once, in the order of the headings.
fn settings() -> Vec<Setting> {
    let command = safelight::cli::command();
    let mut settings = BTreeMap::new();
    for argument in command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .chain(command.get_arguments())
    {
        let Some(variable) = argument.get_env() else {
            continue;
        };
        let setting = Setting::of(argument, variable.to_str().unwrap());
        let place = settings.len();
        settings
            .entry(setting.variable.clone())
            .or_insert((place, setting));
    }
    let mut settings: Vec<_> = settings.into_values().collect();
    settings.sort_by_key(|(place, setting)| (setting.heading, *place));
    settings.into_iter().map(|(_, setting)| setting).collect()
}

impl Setting {
    fn of(argument: &clap::Arg, variable: &str) -> Self {
        let heading = argument.get_help_heading().unwrap_or_default();
        let help = argument.get_help().unwrap().to_string();
        // A default that clap does not know stands in the text, as in its own help.
        let (meaning, default) = match help.split_once(" [default: ") {
            Some((meaning, default)) => (meaning, default.trim_end_matches(']').to_owned()),
            None => (help.as_str(), defaults(argument)),
        };
        Self {
            heading: HEADINGS
                .iter()
                .position(|known| *known == heading)
                .unwrap_or_else(|| panic!("{variable} is under \"{heading}\"")),
            variable: variable.to_owned(),
            default,
            meaning: meaning.to_owned(),
        }
    }
}

fn defaults(argument: &clap::Arg) -> String {
    let values = argument.get_default_values().iter();
    let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
    values.join(",")
}

fn settings_table() -> String {
    let head = ["| variable | default | meaning |", "|---|---|---|"].map(str::to_owned);
    let rows = settings().into_iter().map(|setting| {
        format!(
            "| `{}` | {} | {} |",
            setting.variable, setting.default, setting.meaning
        )
    });
    head.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// The first sentence of a file, without its name.
fn purpose(file: &str) -> String {
    let text = ops::text(file);
    let head: Vec<_> = text
        .lines()
        .map_while(|line| line.strip_prefix("-- "))
        .collect();
    let head = head.join(" ");
    let (_, words) = head.split_once(": ").unwrap();
    let end = words.find(['.', '?']).unwrap();
    words[..end].to_owned()
}

/// Not the template's copy: the README creates the schema itself.
async fn empty_database(stage: &Stage) -> String {
    let name = format!("readme_{}", uuid::Uuid::new_v4().simple());
    stage.sql(&format!("CREATE DATABASE {name}")).await;
    let mut url = url::Url::parse(&stage.url).unwrap();
    url.set_path(&name);
    url.into()
}

/// Where the reader stands: the files of operators, and a picture of somebody.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    std::os::unix::fs::symlink(files, folder.path().join("sql")).unwrap();
    std::fs::write(folder.path().join("me.jpg"), picture()).unwrap();
    folder
}

fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(64, 64, image::Rgb([200, 120, 80]))
        .write_to(&mut bytes, image::ImageFormat::Jpeg)
        .unwrap();
    bytes.into_inner()
}

/// Serves a picture under every path; returns its `host:port`.
async fn pictures() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(async || picture());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address.to_string()
}

/// `host:port` that nobody listens at.
async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

/// The program under test comes first.
fn path() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_safelight")).parent().unwrap();
    #[expect(clippy::disallowed_methods, reason = "where the system's programs are")]
    let system = std::env::var("PATH").unwrap();
    format!("{}:{system}", program.display())
}

fn readme() -> String {
    text("README.md")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}
