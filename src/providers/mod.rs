//! The services that make pictures, and read them, behind one call: a request goes in, a [`CallResult`]
//! comes out.
//!
//! One call here is at most one request on the wire: nothing is ever sent twice, because each
//! request is paid for. Whether to try again, and who may call when, is decided elsewhere; this
//! folder knows no job, no database and no quota. Each provider's wire format stays private to
//! its module, and its errors turn into [`CallResult`] in one place there.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::model::Shape;
use crate::domain::request::Options;
use crate::domain::{AspectRatio, CallResult, Model, Provider, Request};

mod examine;
mod exchange;
pub mod gemini;
mod inline;
mod keyring;
mod keys;
pub mod openai;
mod quote;
#[cfg(test)]
mod seen;
pub mod simulator;

pub use examine::KeyFinding;
pub use gemini::Gemini;
pub use keys::{Account, KeysError, parse_keys};
pub use openai::OpenAi;

/// A provider that has not taken our connection by then is down; waiting on would only hold a
/// grant that another image could use.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Well below the minutes for which large services keep a quiet connection, so that it is we who
/// close it: a request written to one that the other side just closed is an ambiguous call.
const POOL_IDLE: Duration = Duration::from_secs(90);
/// A picture takes up to minutes without a byte on the wire; probes keep NATs from forgetting us
/// and find a dead peer before the call's deadline does.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// One picture to be made.
#[derive(Clone, Debug)]
pub struct ImageRequest {
    pub model: Model,
    /// The whole text, the aspect ratio in words included.
    pub prompt: Arc<str>,
    /// Input pictures in the order of the call; shared by all calls of a job.
    pub pictures: Arc<[PreparedPicture]>,
    pub aspect_ratio: Option<AspectRatio>,
    /// One of [`Model::image_sizes`], or pixels that the model draws.
    pub image_size: Option<Cow<'static, str>>,
    pub options: Options,
    pub manner: Manner,
}

/// How a picture is asked for, where it matters and no row says it.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// What each picture is, said before it, for models that read text between pictures; the prompt
    /// comes last then.
    pub labels: Option<Arc<[&'static str]>>,
    pub sampling: Option<Sampling>,
    /// No words beside the picture.
    pub picture_only: bool,
}

/// How freely a model draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    pub temperature: f32,
    pub top_p: f32,
    pub top_k: u32,
}

/// A question about a picture, to be answered as JSON.
#[derive(Clone, Debug)]
pub struct Question {
    /// [`Model::for_words`].
    pub model: Model,
    pub prompt: &'static str,
    pub picture: PreparedPicture,
}

/// What a paid call asks for.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    Picture(&'a ImageRequest),
    Words(&'a Question),
}

impl<'a> Ask<'a> {
    pub fn model(self) -> &'a Model {
        match self {
            Self::Picture(request) => &request.model,
            Self::Words(question) => &question.model,
        }
    }
}

impl ImageRequest {
    /// The call for one image of a job, by its index from 1. `pictures` are those of the job, prepared.
    pub fn of(request: &Request, pictures: &Arc<[PreparedPicture]>, index: i32) -> Self {
        let (aspect_ratio, image_size) = form(request, pictures.first());
        Self {
            model: request.model.clone(),
            prompt: Arc::clone(request.prompts.of(index)),
            pictures: Arc::clone(pictures),
            aspect_ratio,
            image_size,
            options: request.options,
            manner: Manner::default(),
        }
    }
}

/// The shape and the size that a picture is asked for in, where the first of the input pictures is this.
pub fn form(
    request: &Request,
    first: Option<&PreparedPicture>,
) -> (Option<AspectRatio>, Option<Cow<'static, str>>) {
    let first = first.filter(|_| request.keeps_shape);
    let named_size = request.image_size.map(Cow::Borrowed);
    match first.map(|first| request.model.shape_like(first.width, first.height)) {
        None => (request.aspect_ratio, named_size),
        Some(Shape::Ratio(ratio)) => (Some(ratio), named_size),
        Some(Shape::Pixels(pixels)) => (None, named_size.or(Some(Cow::Owned(pixels)))),
    }
}

/// An input picture, ready to be sent: decoded, turned, scaled and encoded again by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedPicture {
    /// `image/jpeg` and its like; what the bytes are, not what somebody declared.
    pub mime: &'static str,
    pub base64: Arc<str>,
    /// In pixels, as it is sent.
    pub width: u32,
    pub height: u32,
}

/// The configured providers; hands each call to the one that serves its model. One without a key has
/// no accounts, and gets no calls.
#[derive(Debug)]
pub struct Providers {
    gemini: Gemini,
    openai: OpenAi,
}

impl Providers {
    pub fn new(gemini: Gemini, openai: OpenAi) -> Self {
        Self { gemini, openai }
    }

    /// The accounts that we have keys for, each once: one budget, one `limits` row per model.
    pub fn accounts(&self, provider: Provider) -> Vec<&str> {
        match provider {
            Provider::Gemini => self.gemini.accounts().collect(),
            Provider::OpenAi => self.openai.accounts().collect(),
        }
    }

    /// Makes one paid call. Dropping the future aborts it; what the provider did is then unknown.
    pub async fn call(&self, account: &str, ask: Ask<'_>, deadline: Duration) -> CallResult {
        match ask {
            Ask::Picture(request) => match request.model.provider() {
                Provider::Gemini => self.gemini.generate(account, request, deadline).await,
                Provider::OpenAi => self.openai.generate(account, request, deadline).await,
            },
            // Of the providers only this one has such a model.
            Ask::Words(question) => self.gemini.answer(account, question, deadline).await,
        }
    }

    /// What the provider of `model` says to each key of an account, without a paid call.
    pub async fn examine(
        &self,
        account: &str,
        model: &Model,
        deadline: Duration,
    ) -> Vec<KeyFinding> {
        match model.provider() {
            Provider::Gemini => self.gemini.examine(account, model, deadline).await,
            Provider::OpenAi => self.openai.examine(account, model, deadline).await,
        }
    }
}

/// The client for calls to providers. The process must have installed a rustls crypto provider.
///
/// No redirects: a key goes to the configured address only. No retries, not even those that
/// reqwest holds to be safe: a request leaves once or the ledger lies. What hyper still does is
/// to take another connection when the one it picked closed before the first byte was written.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(concat!("safelight/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_keepalive(TCP_KEEPALIVE)
        .tcp_nodelay(true)
        .build()
}

#[cfg(test)]
mod tests;
