//! A web server that does everything wrong that an input picture's server was seen to do, one path
//! for each, and counts who asked for what.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use image::{DynamicImage, ImageFormat};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Ten megabytes are taken; this is what a telephone's video has.
const LARGE: usize = 64 * 1024 * 1024;
/// A drop comes this often and holds one byte: a picture would take hours.
const DRIP_EVERY: Duration = Duration::from_millis(50);

/// Serves on loopback until the test's runtime ends.
pub(crate) struct OddHost {
    /// `host:port`.
    pub(crate) address: String,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl OddHost {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(BTreeMap::new()));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (visitor, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(visitor, Arc::clone(&count)));
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often each path was asked for.
    pub(crate) fn asked(&self) -> BTreeMap<String, usize> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut visitor: TcpStream, asked: Arc<Mutex<BTreeMap<String, usize>>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(1..) = visitor.read_buf(&mut request).await else {
            return;
        };
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    *asked.lock().unwrap().entry(path.clone()).or_default() += 1;
    // A visitor who has seen enough leaves: no concern of ours.
    let _ = answer(&mut visitor, &path).await;
}

async fn answer(visitor: &mut TcpStream, path: &str) -> std::io::Result<()> {
    let png = || encoded(&DynamicImage::new_rgb8(64, 64), ImageFormat::Png);
    match path.split('?').next().unwrap() {
        "/good.png" => whole(visitor, "", &png()).await,
        "/deep.png" => {
            let deep = DynamicImage::new_rgba16(64, 64);
            whole(visitor, "", &encoded(&deep, ImageFormat::Png)).await
        }
        "/redirect.png" => {
            let head = "HTTP/1.1 302 Found\r\nlocation: /moved.png\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            visitor.write_all(head.as_bytes()).await
        }
        "/page.png" => {
            let page = b"\r\n<!DOCTYPE html><html><body>Sign in to see this picture</body></html>";
            whole(visitor, "content-type: image/png\r\n", page).await
        }
        "/drawing.png" => {
            let svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>";
            whole(visitor, "content-type: image/png\r\n", svg).await
        }
        "/empty.png" => whole(visitor, "", b"").await,
        "/animation.gif" => whole(visitor, "", b"GIF89a\x01\0\x01\0\0\0\0").await,
        "/telephone.heic" => whole(visitor, "", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").await,
        "/half.png" => {
            let png = png();
            whole(visitor, "", &png[..png.len() / 2]).await
        }
        "/giant.png" => whole(visitor, "", &claiming(60_000)).await,
        "/packed.png" => whole(visitor, "content-encoding: gzip\r\n", &gzip_bomb()).await,
        "/large.png" => {
            head(visitor, LARGE).await?;
            endless(visitor, LARGE).await
        }
        "/unannounced.png" => {
            visitor
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
                .await?;
            endless(visitor, LARGE).await
        }
        "/drip.png" => {
            head(visitor, png().len()).await?;
            for byte in png() {
                visitor.write_all(&[byte]).await?;
                tokio::time::sleep(DRIP_EVERY).await;
            }
            Ok(())
        }
        // Announces more than it sends, and less.
        "/more.png" => {
            head(visitor, 2 * png().len()).await?;
            visitor.write_all(&png()).await
        }
        "/less.png" => {
            head(visitor, png().len() / 2).await?;
            visitor.write_all(&png()).await
        }
        "/headers.png" => {
            visitor.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            let header = format!("x-filler: {}\r\n", "x".repeat(1000));
            for _ in 0..2000 {
                visitor.write_all(header.as_bytes()).await?;
            }
            visitor.write_all(b"\r\n").await
        }
        "/busy.png" => status(visitor, "503 Service Unavailable").await,
        "/private.png" => status(visitor, "403 Forbidden").await,
        _ => status(visitor, "404 Not Found").await,
    }
}

async fn head(visitor: &mut TcpStream, length: usize) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    visitor.write_all(head.as_bytes()).await
}

async fn whole(visitor: &mut TcpStream, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    visitor.write_all(head.as_bytes()).await?;
    visitor.write_all(body).await
}

async fn status(visitor: &mut TcpStream, status: &str) -> std::io::Result<()> {
    // Words of the server's own, which are nobody's business.
    let body = "upstream db-7.internal (10.1.2.3) says no: /srv/app/secrets.yml";
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    visitor.write_all(answer.as_bytes()).await
}

/// So many bytes that begin like a picture.
async fn endless(visitor: &mut TcpStream, length: usize) -> std::io::Result<()> {
    visitor.write_all(b"\x89PNG\r\n\x1a\n").await?;
    let piece = vec![0; 64 * 1024];
    for _ in 0..length / piece.len() {
        visitor.write_all(&piece).await?;
    }
    Ok(())
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A small PNG whose header claims to be `side` pixels wide and high.
fn claiming(side: u32) -> Vec<u8> {
    let mut png = encoded(&DynamicImage::new_rgb8(2, 2), ImageFormat::Png);
    png[16..20].copy_from_slice(&side.to_be_bytes());
    png[20..24].copy_from_slice(&side.to_be_bytes());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    png
}

/// The checksum of a PNG chunk, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    })
}

/// 64 MB of zeros in 400 kB: one zero, then "258 bytes as the one before" again and again.
fn gzip_bomb() -> Vec<u8> {
    // The last block, with the fixed codes; the literal 0; then length 258 and distance 1.
    let first = [1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0];
    let repeat = [1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    let end = [0; 7];
    let repeats = std::iter::repeat_n(repeat, LARGE / 258).flatten();
    let bits: Vec<u8> = first.into_iter().chain(repeats).chain(end).collect();
    let packed = bits
        .chunks(8)
        .map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit));
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    head.into_iter().chain(packed).collect()
}
