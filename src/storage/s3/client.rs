//! The client for S3: its TLS, what it sends unasked (nothing), how often it tries.

use std::pin::Pin;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction, RetryConfig};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    AppName, BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use futures_util::{StreamExt as _, stream};
use url::Url;

use super::S3Settings;
use crate::storage::budget::Budget;
use crate::storage::remote::{Chunks, broken};

/// Asks to come back later, which the SDK does not know.
const TOO_MANY_REQUESTS: u16 = 429;

pub(super) fn client(settings: &S3Settings, budget: &Budget) -> Client {
    let credentials = Credentials::from_keys(
        &settings.access_key_id,
        settings.secret_access_key.expose(),
        None,
    );
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(budget.connect)
        .operation_attempt_timeout(budget.attempt)
        .operation_timeout(budget.whole)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(budget.tries)
        .with_initial_backoff(budget.first_pause)
        .with_max_backoff(budget.longest_pause);
    // Uploads are from memory: each try has its time, and nothing else can stall.
    let stalls = StalledStreamProtectionConfig::enabled()
        .upload_enabled(false)
        .grace_period(budget.stall)
        .build();
    // Ring, as everywhere here; the SDK would bring another.
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .credentials_provider(credentials)
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .timeout_config(timeouts)
        .retry_config(retries)
        .retry_classifier(Throttled)
        .stalled_stream_protection(stalls)
        .http_client(http);
    config.set_endpoint_url(settings.endpoint.as_ref().map(address));
    config.set_app_name(AppName::new("safelight").ok());
    Client::from_conf(config.build())
}

/// With a slash at its end: the SDK puts the bucket's name right behind a path, such as Supabase's.
fn address(endpoint: &Url) -> String {
    format!("{}/", endpoint.as_str().trim_end_matches('/'))
}

/// The bytes of an answer, as they come.
pub(super) fn chunks(mut body: ByteStream) -> Chunks {
    let polled = stream::poll_fn(move |context| Pin::new(&mut body).poll_next(context));
    polled
        .map(|chunk| chunk.map_err(|error| broken(&error)))
        .boxed()
}

/// Tries again after a 429, as after a 503.
#[derive(Debug)]
struct Throttled;

impl ClassifyRetry for Throttled {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let status = context.response().map(|answer| answer.status().as_u16());
        if status == Some(TOO_MANY_REQUESTS) {
            RetryAction::throttling_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "too many requests"
    }
}
