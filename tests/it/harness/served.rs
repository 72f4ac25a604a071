//! The HTTP surface in this process, and a client that speaks to it.

use std::net::SocketAddr;

use clap::Parser;
use reqwest::{Client, Method, RequestBuilder};
use safelight::api::{self, Api};
use safelight::app::{self, StartError};
use safelight::config::{HttpArgs, StorageArgs};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::Stage;

#[derive(Debug, Parser)]
struct ServeArguments {
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    storage: StorageArgs,
}

/// A server; ends when it is dropped.
pub(crate) struct Served {
    pub(crate) url: String,
    pub(crate) client: Client,
    task: AbortHandle,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stage {
    /// Serves this stage's database and photos, with the settings of a command line.
    pub(crate) async fn serve(&self, arguments: &[&str]) -> Served {
        let router = api::router(self.api(arguments).await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Served {
            url,
            client: Client::builder().no_proxy().build().unwrap(),
            task: task.abort_handle(),
        }
    }

    /// What would be served, or why nothing is.
    pub(crate) async fn api(&self, arguments: &[&str]) -> Result<Api, StartError> {
        app::install_tls();
        let storage = format!("--storage=local:{}", self.photos().display());
        let all = ["serve", &storage]
            .into_iter()
            .chain(arguments.iter().copied());
        let arguments = ServeArguments::parse_from(all);
        app::api(self.db().await, &arguments.http, &arguments.storage).await
    }
}

impl Served {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// GET: the status and the JSON.
    pub(crate) async fn get(&self, path: &str, key: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path).bearer_auth(key)).await
    }

    /// POST of JSON: the status and the JSON.
    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> (u16, Value) {
        answer(
            self.request(Method::POST, path)
                .bearer_auth(key)
                .json(&body),
        )
        .await
    }
}

/// The status and the JSON of an answer.
pub(crate) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let json = serde_json::from_str(&text);
    (
        status,
        json.unwrap_or_else(|error| panic!("{error}: {status} {text}")),
    )
}
