//! One connection of one visitor, as a browser keeps it.
//!
//! Written by hand, because the crowd shares two cores with what it measures, and because a client with a
//! pool would send all polls over a few connections.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

/// The beginning of an answer.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) tag: Option<String>,
    length: usize,
}

impl Connection {
    pub(super) async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Sends a GET and reads the head of the answer. Headers are whole lines.
    pub(super) async fn get(&mut self, path: &str, headers: &str) -> io::Result<Head> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        let status = self.line().await?;
        let status = status.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut head = Head {
            status: status.ok_or(io::ErrorKind::InvalidData)?,
            ..Head::default()
        };
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(": ") else {
                return Ok(head);
            };
            match name.to_ascii_lowercase().as_str() {
                "etag" => head.tag = Some(value.to_owned()),
                "content-length" => {
                    head.length = value.parse().map_err(|_| io::ErrorKind::InvalidData)?;
                }
                _ => {}
            }
        }
    }

    /// The rest of an answer.
    pub(super) async fn body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        let mut body = vec![0; if head.status == 304 { 0 } else { head.length }];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }

    /// The next line, without its end; an error when there is no more.
    pub(super) async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}
