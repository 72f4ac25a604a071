use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

/// A folder that everybody can pass through, as most projects' folders are.
fn open_folder() -> TempDir {
    folder(0o755)
}

fn folder(mode: u32) -> TempDir {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    folder
}

async fn insert_a_photo(cluster: &Cluster) {
    let mut connection = PgConnection::connect(&cluster.url()).await.unwrap();
    for statement in [
        "CREATE TABLE IF NOT EXISTS photo ()",
        "INSERT INTO photo DEFAULT VALUES",
    ] {
        let statement = sqlx::query(statement);
        statement.execute(&mut connection).await.unwrap();
    }
}

async fn photos(cluster: &Cluster) -> i64 {
    let mut connection = PgConnection::connect(&cluster.url()).await.unwrap();
    let count = sqlx::query_scalar("SELECT count(*) FROM photo");
    count.fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn what_was_written_is_there_after_a_stop_and_a_new_start() {
    let folder = open_folder();
    let first = Cluster::open(folder.path()).await.unwrap();
    insert_a_photo(&first).await;
    first.stop().await.unwrap();

    let second = Cluster::open(folder.path()).await.unwrap();

    assert_eq!(photos(&second).await, 1);
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_that_was_dropped_stops_and_can_be_opened_again() {
    let folder = open_folder();
    let first = Cluster::open(folder.path()).await.unwrap();
    insert_a_photo(&first).await;
    drop(first);

    let second = Cluster::open(folder.path()).await.unwrap();

    assert_eq!(photos(&second).await, 1);
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_left_by_a_killed_run_is_stopped_and_replaced() {
    let folder = open_folder();
    let mut killed = Cluster::open(folder.path()).await.unwrap();
    insert_a_photo(&killed).await;
    // What the system does when a process dies: the lock goes, the server stays.
    killed.claim.unlock().unwrap();

    let next = Cluster::open(folder.path()).await.unwrap();

    assert!(killed.server.wait().await.unwrap().success());
    assert_eq!(photos(&next).await, 1);
    next.stop().await.unwrap();
}

#[tokio::test]
async fn a_number_that_a_stranger_has_now_does_not_stop_the_start() {
    let folder = open_folder();
    let first = Cluster::open(folder.path()).await.unwrap();
    let pid_file = first.files().join("data/postmaster.pid");
    // Postgres itself sees through a number that another user has.
    let mut stranger = Command::from(first.files.user().command(Path::new("cat")));
    first.stop().await.unwrap();
    let stranger = stranger.stdin(Stdio::piped()).kill_on_drop(true).spawn();
    let stranger = stranger.unwrap();
    fs::write(&pid_file, format!("{}\n", stranger.id().unwrap())).unwrap();

    let second = Cluster::open(folder.path()).await.unwrap();

    second.stop().await.unwrap();
}

#[tokio::test]
async fn one_folder_has_one_cluster_at_a_time() {
    let folder = open_folder();
    let first = Cluster::open(folder.path()).await.unwrap();

    let second = Cluster::open(folder.path()).await;

    assert!(matches!(second, Err(ClusterError::InUse(dir)) if dir == folder.path()));
    first.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_comes_in_without_the_password() {
    let folder = open_folder();
    let cluster = Cluster::open(folder.path()).await.unwrap();
    let guess = cluster.url().replace(&cluster.password, "postgres");

    let refused = PgConnection::connect(&guess).await;

    assert!(refused.unwrap_err().to_string().contains("password"));
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_that_only_root_can_reach_gets_its_files_elsewhere() {
    let folder = folder(0o700);
    let cluster = Cluster::open(folder.path()).await.unwrap();
    let files = cluster.files().to_owned();
    cluster.stop().await.unwrap();

    match ServerUser::choose().await.unwrap() {
        ServerUser::Ourselves => assert_eq!(files, folder.path().join("postgres")),
        ServerUser::Account { .. } => {
            assert!(!files.starts_with(folder.path()));
            fs::remove_dir_all(files.parent().unwrap()).unwrap();
        }
    }
}
