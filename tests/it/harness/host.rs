//! A web server that has the input picture of a job, and may be slow to say so.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::PATIENCE;

/// A web server with one picture, whose first visitor never gets an answer.
pub(crate) struct PictureHost {
    /// `host:port`.
    pub(crate) address: String,
    asked: watch::Receiver<usize>,
}

impl PictureHost {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (count, asked) = watch::channel(0);
        tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let (mut visitor, _) = listener.accept().await.unwrap();
                let asked = visitor.read(&mut [0; 4096]).await.unwrap();
                assert!(asked > 0, "somebody came and asked for nothing");
                if held.is_empty() {
                    held.push(visitor);
                } else {
                    answer(visitor).await;
                }
                count.send_modify(|count| *count += 1);
            }
        });
        Self { address, asked }
    }

    /// Waits until somebody asked for the picture.
    pub(crate) async fn until_asked(&self) {
        let mut asked = self.asked.clone();
        let waiting = asked.wait_for(|&count| count > 0);
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap()
            .unwrap();
    }
}

async fn answer(mut visitor: TcpStream) {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(64, 64, image::Rgb([200, 120, 40]))
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    let png = png.into_inner();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        png.len()
    );
    visitor.write_all(head.as_bytes()).await.unwrap();
    visitor.write_all(&png).await.unwrap();
}
