//! `PgBouncer` in transaction mode in front of a test's database.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::PATIENCE;

/// Fewer than the clients, so that they really share them.
const SERVER_CONNECTIONS: u32 = 3;

/// Stopped when it is dropped.
pub(crate) struct Pooler {
    /// The same database by way of the pooler, as its users are told to write it.
    pub(crate) url: String,
    process: Child,
    _folder: TempDir,
}

impl Pooler {
    pub(crate) async fn before(database: &str) -> Self {
        let direct = url::Url::parse(database).unwrap();
        let folder = tempfile::tempdir().unwrap();
        // It refuses to run as root, and then its user must be able to read these.
        let as_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let everybody = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), everybody).unwrap();
        let port = free_port();
        let users = folder.path().join("users.txt");
        std::fs::write(&users, format!("\"{}\" \"\"\n", direct.username())).unwrap();
        let settings = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} port={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = {SERVER_CONNECTIONS}\n{}",
            direct.host_str().unwrap(),
            direct.port().unwrap(),
            users.display(),
            if as_root { "user = nobody\n" } else { "" },
        );
        std::fs::write(&settings, text).unwrap();
        let process = Command::new("pgbouncer")
            .arg("--quiet")
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("pgbouncer is missing: apt-get install pgbouncer");
        let mut url = direct;
        url.set_port(Some(port)).unwrap();
        url.set_query(Some("pgbouncer=true"));
        let pooler = Self {
            url: url.into(),
            process,
            _folder: folder,
        };
        let listening = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, listening)
            .await
            .expect("pgbouncer does not listen");
        pooler
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
