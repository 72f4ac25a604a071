//! `safelight demo` as a newcomer runs it: the real program, in a folder of its own.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use safelight::images::PictureFormat;
use safelight::providers::simulator::{SimAccount, Simulator, SimulatorConfig};
use tempfile::TempDir;
use zip::ZipArchive;

/// A folder that a server's account can pass through, as most projects' folders are.
fn folder() -> TempDir {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// In a project whose settings would ruin everything if they counted.
fn demo(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
    command
        .args(["demo", "--dir"])
        .arg(folder.path())
        .args(arguments)
        .current_dir(folder.path())
        .env_remove("GEMINI_API_KEY")
        .env_remove("GEMINI_API_KEYS")
        .env_remove("GOOGLE_AI_STUDIO_API_KEY")
        .env("GEMINI_BASE_URL", "http://127.0.0.1:9")
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:9/nothing")
        .env("STORAGE", "s3://not-mine")
        .env("SUPABASE_URL", "not a url")
        .env("WORKER_CONCURRENCY", "1")
        .stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> (Output, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output, text)
}

fn succeed(command: Command) -> String {
    let (output, text) = run(command);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{complaint}");
    text
}

/// Every file below the photos' folder, as the sheet would link it.
fn photos(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.join("photos")];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let path = path.strip_prefix(folder).unwrap();
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// The photos that a sheet links, in its order.
fn linked(sheet: &str) -> Vec<&str> {
    let images = sheet.split("<img src=\"").skip(1);
    images.map(|rest| rest.split('"').next().unwrap()).collect()
}

fn sheet(folder: &Path) -> String {
    fs::read_to_string(folder.join("index.html")).unwrap()
}

/// Job and image of a name in the zip.
fn place(name: &str) -> (i64, i32) {
    let (job, image) = name.split_once('/').unwrap();
    let image = image.split_once('.').unwrap().0;
    let number = |text: &str| text.rsplit_once('-').unwrap().1.parse::<i64>().unwrap();
    (number(job), i32::try_from(number(image)).unwrap())
}

/// Whether the cluster of a demo has a server, wherever its files had to go.
fn postgres_runs(folder: &Path) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut command_lines = processes.filter_map(|process| {
        let command_line = fs::read(process.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&command_line).into_owned())
    });
    let data = folder.join("postgres/data");
    command_lines.any(|line| line.contains(data.to_str().unwrap()))
}

fn assert_zip_holds_what_is_stored(folder: &Path) -> Vec<(i64, i32)> {
    let mut stored = photos(folder);
    let mut zip = ZipArchive::new(File::open(folder.join("photos.zip")).unwrap()).unwrap();
    let mut places = Vec::new();
    let mut packed = Vec::new();
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let format = PictureFormat::sniff(&bytes).unwrap();
        let name = entry.name().unwrap();
        assert!(
            name.ends_with(&format!(".{}", format.extension())),
            "{name}"
        );
        places.push(place(&name));
        packed.push(bytes);
    }
    assert!(places.is_sorted(), "{places:?}");
    let mut expected: Vec<Vec<u8>> = stored
        .drain(..)
        .map(|photo| fs::read(folder.join(photo)).unwrap())
        .collect();
    expected.sort();
    packed.sort();
    assert!(expected == packed, "the zip does not hold what is stored");
    places
}

fn assert_sheet_shows_what_is_stored(folder: &Path) {
    let sheet = sheet(folder);
    let mut shown = linked(&sheet);
    let mut stored = photos(folder);
    shown.sort_unstable();
    stored.sort();
    assert_eq!(shown, stored);
    assert!(
        !sheet.contains("http-equiv=\"refresh\""),
        "it still refreshes"
    );
}

#[test]
fn the_demo_shows_photos_a_429_and_a_refusal_and_goes_on_when_run_again() {
    let folder = folder();

    let first = succeed(demo(&folder, &[]));

    assert_sheet_shows_what_is_stored(folder.path());
    let places = assert_zip_holds_what_is_stored(folder.path());
    assert_eq!(places.len(), 15);
    let of_the_third = places.iter().filter(|(job, _)| *job == 3);
    assert_eq!(of_the_third.count(), 3, "{places:?}");
    assert!(
        first.contains("INSERT INTO photo_generation_queue"),
        "{first}"
    );
    assert!(first.contains("job 2  rate_limited"), "{first}");
    assert!(first.contains("Job 2 met a 429"), "{first}");
    assert!(first.contains(": refused for good."), "{first}");
    assert!(first.contains("   3  completed  3 of 4 "), "{first}");
    let last = first.lines().last().unwrap();
    assert!(
        last.starts_with("GEMINI_API_KEY=... safelight demo"),
        "{last}"
    );
    assert!(!postgres_runs(folder.path()));
    let before = photos(folder.path());

    let second = succeed(demo(&folder, &["a quiet <lake>"]));

    assert_sheet_shows_what_is_stored(folder.path());
    assert_eq!(assert_zip_holds_what_is_stored(folder.path()).len(), 19);
    assert!(second.contains("   5  completed  4 of 4 "), "{second}");
    let now = photos(folder.path());
    assert!(before.iter().all(|photo| now.contains(photo)));
    let sheet = sheet(folder.path());
    assert!(sheet.contains("a quiet &lt;lake&gt;"));
    assert!(sheet.find("Batch 2").unwrap() < sheet.find("Batch 1").unwrap());
    assert!(!postgres_runs(folder.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_a_prompt_ask_the_real_provider_for_four_photos() {
    let folder = folder();
    let provider = Simulator::start(SimulatorConfig {
        accounts: vec![SimAccount {
            key: "a-real-key".to_owned(),
            account: "real".to_owned(),
        }],
        ..SimulatorConfig::instant()
    })
    .await
    .unwrap();
    let real = |arguments: &[&str], key: &str| {
        let mut command = demo(&folder, arguments);
        command
            .env("GEMINI_API_KEY", key)
            .env("GEMINI_BASE_URL", provider.base_url());
        run(command)
    };

    let (refused, _) = real(&["a red bicycle"], "a-wrong-key");
    let (made, text) = real(&["a red bicycle"], "a-real-key");
    let (simulated, _) = real(&[], "a-real-key");

    assert_eq!(refused.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(
        complaint.contains("the provider refuses this API key"),
        "{complaint}"
    );
    assert!(made.status.success(), "{text}");
    assert!(text.contains("billed to your API key"), "{text}");
    assert!(simulated.status.success());
    let accepted = provider.log().iter().filter(|call| call.accepted).count();
    assert_eq!(accepted, 4, "{:#?}", provider.log());
}

/// A demo that is at work, told to stop with Ctrl-C once it has said something.
fn interrupt(folder: &TempDir, arguments: &[&str], once: &str) -> Output {
    let mut child: Child = demo(folder, arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let mut lines = said.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains(once)), "{once}");
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    // What it says until its end has somewhere to go.
    lines.for_each(drop);
    child.wait_with_output().unwrap()
}

#[test]
fn ctrl_c_stops_everything_and_keeps_what_there_is() {
    let folder = folder();

    let output = interrupt(&folder, &[], "  1/4  ");

    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(
        complaint.starts_with("safelight: interrupted"),
        "{complaint}"
    );
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert_sheet_shows_what_is_stored(folder.path());
    assert!(!assert_zip_holds_what_is_stored(folder.path()).is_empty());
    assert!(!postgres_runs(folder.path()));
}

#[test]
fn a_demo_that_serves_ends_well_with_ctrl_c() {
    let folder = folder();

    let output = interrupt(&folder, &["--serve", "a lake"], "DATABASE_URL=postgres://");

    assert!(
        output.status.success(),
        "{:?}",
        String::from_utf8(output.stderr)
    );
    assert_sheet_shows_what_is_stored(folder.path());
    assert!(!postgres_runs(folder.path()));
}
