//! The HTTP surface in this process, and a client that speaks to it.

use axum::Router;
use clap::Parser;
use reqwest::{Client, Method, RequestBuilder};
use safelight::api::{self, Api, Ending, Limits};
use safelight::app::{self, StartError};
use safelight::config::{HttpArgs, StorageArgs, WebhookArgs};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Stage;

#[derive(Debug, Parser)]
struct ServeArguments {
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    webhook: WebhookArgs,
}

/// A server; ends when it is dropped.
pub(crate) struct Served {
    pub(crate) url: String,
    pub(crate) client: Client,
    ending: Ending,
    task: Option<JoinHandle<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Stage {
    /// Serves this stage's database and photos, with the settings of a command line.
    pub(crate) async fn serve(&self, arguments: &[&str]) -> Served {
        let ending = Ending::default();
        let api = self.api_until(arguments, ending.stop.clone()).await;
        Served::start(api::router(api.unwrap()), ending, Limits::default()).await
    }

    /// What would be served, or why nothing is.
    pub(crate) async fn api(&self, arguments: &[&str]) -> Result<Api, StartError> {
        self.api_until(arguments, CancellationToken::new()).await
    }

    async fn api_until(
        &self,
        arguments: &[&str],
        stop: CancellationToken,
    ) -> Result<Api, StartError> {
        app::install_tls();
        let storage = self.storage();
        let all = ["serve"]
            .into_iter()
            .chain(storage.iter().map(String::as_str))
            .chain(arguments.iter().copied());
        let ServeArguments {
            http,
            storage,
            webhook,
        } = ServeArguments::parse_from(all);
        let db = self.db().await;
        let gate = app::gate(&db, &http, &storage).await?;
        let storage = app::open_storage(&storage).await?;
        let vitals = app::vitals(&db, storage.clone(), None, stop.clone());
        app::api(
            db,
            &http,
            &webhook,
            gate,
            storage,
            app::decoder(),
            vitals,
            stop,
        )
        .await
    }
}

impl Served {
    /// Serves any routes as the program does.
    pub(crate) async fn of(router: Router, limits: Limits) -> Self {
        Self::start(router, Ending::default(), limits).await
    }

    async fn start(router: Router, ending: Ending, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(api::serve(listener, router, ending.clone(), limits));
        Self {
            url,
            client: client(),
            ending,
            task: Some(task),
        }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Tells it to stop and waits until it has.
    pub(crate) async fn stop(mut self) {
        self.ending.stop.cancel();
        self.task.take().unwrap().await.unwrap();
    }

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

/// A client that is ready to speak to any server.
pub(crate) fn client() -> Client {
    app::install_tls();
    Client::builder().no_proxy().build().unwrap()
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
