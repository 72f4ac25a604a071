//! How to get to a bucket of S3: by its own names, or by those that an app has already for Cloudflare R2
//! or AWS.
//!
//! Names are not mixed: endpoint and keys are those of R2 if none of `S3_ENDPOINT`, `S3_ACCESS_KEY_ID` and
//! `S3_SECRET_ACCESS_KEY` is set and any of R2 is; the two keys are always of one kind.

use clap::Args;
use url::Url;

use crate::config::{ConfigError, set};
use crate::storage::{S3Settings, Secret};

/// Regions mean nothing to most services, which then take this; R2 asks for it.
const ANY_REGION: &str = "auto";
/// Where AWS keeps buckets of which nobody says where.
const FIRST_REGION: &str = "us-east-1";

/// An S3-compatible storage: Cloudflare R2, Supabase Storage's S3 endpoint, MinIO, AWS.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "S3 storage")]
pub struct S3Args {
    /// Address of the S3 service, for instance https://ACCOUNT.r2.cloudflarestorage.com [default: AWS]
    #[arg(long, env = "S3_ENDPOINT", value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// Region of the bucket [default: auto with S3_ENDPOINT, else us-east-1]
    #[arg(long, env = "S3_REGION", value_name = "REGION")]
    pub s3_region: Option<String>,
    /// Access key with the right to read, write, list and delete objects of the bucket
    #[arg(
        long,
        env = "S3_ACCESS_KEY_ID",
        hide_env_values = true,
        value_name = "ID"
    )]
    pub s3_access_key_id: Option<String>,
    /// Its secret
    #[arg(
        long,
        env = "S3_SECRET_ACCESS_KEY",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub s3_secret_access_key: Option<Secret>,
    /// Where everybody can read the bucket, for instance https://cdn.example.com; photos then have these
    /// URLs, which do not expire
    #[arg(long, env = "S3_PUBLIC_URL", value_name = "URL")]
    pub s3_public_url: Option<String>,

    /// Another name for S3_ENDPOINT; the R2_ names count where no S3_ENDPOINT and no S3_ key is set
    #[arg(long, env = "R2_ENDPOINT", hide = true)]
    pub r2_endpoint: Option<String>,
    /// Cloudflare account, in place of R2_ENDPOINT
    #[arg(long, env = "R2_ACCOUNT_ID", hide = true)]
    pub r2_account_id: Option<String>,
    /// Another name for S3_ACCESS_KEY_ID
    #[arg(long, env = "R2_ACCESS_KEY_ID", hide = true, hide_env_values = true)]
    pub r2_access_key_id: Option<String>,
    /// Another name for S3_SECRET_ACCESS_KEY
    #[arg(
        long,
        env = "R2_SECRET_ACCESS_KEY",
        hide = true,
        hide_env_values = true
    )]
    pub r2_secret_access_key: Option<Secret>,
    /// Bucket for photos, if STORAGE is not set
    #[arg(long, env = "R2_BUCKET_NAME", hide = true)]
    pub r2_bucket_name: Option<String>,
    /// Another name for S3_PUBLIC_URL
    #[arg(long, env = "R2_PUBLIC_URL", hide = true)]
    pub r2_public_url: Option<String>,

    /// Another name for S3_REGION, without S3_ENDPOINT
    #[arg(long, env = "AWS_REGION", hide = true)]
    pub aws_region: Option<String>,
    /// Another name for S3_ACCESS_KEY_ID, the last that is looked for
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide = true, hide_env_values = true)]
    pub aws_access_key_id: Option<String>,
    /// Another name for S3_SECRET_ACCESS_KEY, with AWS_ACCESS_KEY_ID
    #[arg(
        long,
        env = "AWS_SECRET_ACCESS_KEY",
        hide = true,
        hide_env_values = true
    )]
    pub aws_secret_access_key: Option<Secret>,
}

/// Whose names are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    S3,
    R2,
}

impl S3Args {
    /// The bucket that an app has already, by the name it has there.
    pub(super) fn bucket(&self) -> Option<&str> {
        set(self.r2_bucket_name.as_ref())
    }

    pub(super) fn settings(
        &self,
        bucket: String,
        prefix: String,
    ) -> Result<S3Settings, ConfigError> {
        let names = self.names();
        let (access_key_id, secret_access_key) = self.keys(names)?;
        let endpoint = self.endpoint(names, &bucket)?;
        Ok(S3Settings {
            region: self.region(endpoint.as_ref()),
            public_url: self.public_url(names)?,
            bucket,
            prefix,
            endpoint,
            access_key_id,
            secret_access_key,
        })
    }

    fn names(&self) -> Names {
        let s3 = set(self.s3_endpoint.as_ref()).is_some()
            || set(self.s3_access_key_id.as_ref()).is_some()
            || secret(self.s3_secret_access_key.as_ref()).is_some();
        let r2 = set(self.r2_endpoint.as_ref()).is_some()
            || set(self.r2_account_id.as_ref()).is_some()
            || set(self.r2_access_key_id.as_ref()).is_some()
            || secret(self.r2_secret_access_key.as_ref()).is_some();
        if r2 && !s3 { Names::R2 } else { Names::S3 }
    }

    /// Both of one kind.
    fn keys(&self, names: Names) -> Result<(String, Secret), ConfigError> {
        let s3 = (
            set(self.s3_access_key_id.as_ref()),
            secret(self.s3_secret_access_key.as_ref()),
        );
        let aws = (
            set(self.aws_access_key_id.as_ref()),
            secret(self.aws_secret_access_key.as_ref()),
        );
        let r2 = (
            set(self.r2_access_key_id.as_ref()),
            secret(self.r2_secret_access_key.as_ref()),
        );
        let (prefix, pair) = match (names, s3, aws) {
            (Names::R2, _, _) => ("R2", r2),
            (Names::S3, (None, None), (Some(_), _) | (_, Some(_))) => ("AWS", aws),
            (Names::S3, s3, _) => ("S3", s3),
        };
        match pair {
            (Some(id), Some(secret)) => Ok((id.to_owned(), secret.clone())),
            (None, _) => Err(ConfigError::NoBucketKey(prefix, "ACCESS_KEY_ID")),
            (Some(_), None) => Err(ConfigError::NoBucketKey(prefix, "SECRET_ACCESS_KEY")),
        }
    }

    fn endpoint(&self, names: Names, bucket: &str) -> Result<Option<Url>, ConfigError> {
        let (variable, text) = match (names, set(self.r2_endpoint.as_ref())) {
            (Names::S3, _) => match set(self.s3_endpoint.as_ref()) {
                Some(text) => ("S3_ENDPOINT", text.to_owned()),
                None => return Ok(None),
            },
            (Names::R2, Some(text)) => ("R2_ENDPOINT", text.to_owned()),
            (Names::R2, None) => {
                let account = set(self.r2_account_id.as_ref()).ok_or(ConfigError::NoR2Endpoint)?;
                let text = format!("https://{account}.r2.cloudflarestorage.com");
                ("R2_ACCOUNT_ID", text)
            }
        };
        let mut url = web_address(variable, &text)?;
        // Cloudflare shows the address with the bucket at its end.
        let without = url.path().trim_end_matches('/').strip_suffix(bucket);
        if let Some(path) = without.filter(|path| path.ends_with('/')) {
            let path = path.to_owned();
            url.set_path(&path);
        }
        Ok(Some(url))
    }

    fn region(&self, endpoint: Option<&Url>) -> String {
        let named = set(self.s3_region.as_ref());
        let region = match endpoint {
            Some(_) => named.unwrap_or(ANY_REGION),
            None => named
                .or(set(self.aws_region.as_ref()))
                .unwrap_or(FIRST_REGION),
        };
        region.to_owned()
    }

    fn public_url(&self, names: Names) -> Result<Option<Url>, ConfigError> {
        let s3 = set(self.s3_public_url.as_ref()).map(|text| ("S3_PUBLIC_URL", text));
        let r2 = set(self.r2_public_url.as_ref()).map(|text| ("R2_PUBLIC_URL", text));
        let found = s3.or(r2.filter(|_| names == Names::R2));
        found
            .map(|(variable, text)| web_address(variable, text))
            .transpose()
    }
}

fn secret(value: Option<&Secret>) -> Option<&Secret> {
    value.filter(|secret| !secret.is_empty())
}

fn web_address(variable: &'static str, text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).map_err(|source| ConfigError::BucketUrl(variable, source))?;
    // storage.example.com:9000 parses, with storage.example.com for a scheme.
    if url.has_host() && matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(ConfigError::BucketUrl(variable, url::ParseError::EmptyHost))
    }
}
