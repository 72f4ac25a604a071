//! Keys, addresses and default models of the providers. A provider with a key is one that is worked for.

use clap::Args;
use url::Url;

use super::{ConfigError, FleetSetting, set};
use crate::domain::{Model, Provider};
use crate::providers::{Account, KeysError, gemini, openai, parse_keys};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Provider")]
pub struct ProviderArgs {
    /// Key of https://aistudio.google.com/apikey
    #[arg(
        long,
        env = "GEMINI_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub gemini_api_key: Option<String>,
    /// Several keys, account:key,account:key; keys of one account share one limit
    #[arg(
        long,
        env = "GEMINI_API_KEYS",
        hide_env_values = true,
        value_name = "KEYS"
    )]
    pub gemini_api_keys: Option<String>,
    /// Another name for GEMINI_API_KEY
    #[arg(
        long,
        env = "GOOGLE_AI_STUDIO_API_KEY",
        hide = true,
        hide_env_values = true
    )]
    pub google_ai_studio_api_key: Option<String>,
    /// Model of rows that name none, for the whole fleet: the first worker records it, migrate
    /// changes it [default: gemini-2.5-flash-image]
    #[arg(long, env = "GEMINI_MODEL_NAME", value_name = "MODEL")]
    pub gemini_model_name: Option<String>,
    /// Where the Gemini API answers
    #[arg(long, env = "GEMINI_BASE_URL", value_name = "URL", default_value = gemini::DEFAULT_BASE_URL)]
    pub gemini_base_url: String,
    /// Key of https://platform.openai.com/api-keys
    #[arg(
        long,
        env = "OPENAI_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub openai_api_key: Option<String>,
    /// Several keys, account:key,account:key; keys of one account share one limit
    #[arg(
        long,
        env = "OPENAI_API_KEYS",
        hide_env_values = true,
        value_name = "KEYS"
    )]
    pub openai_api_keys: Option<String>,
    /// The same as GEMINI_MODEL_NAME, of rows that are OpenAI's [default: gpt-image-1.5]
    #[arg(long, env = "OPENAI_MODEL_NAME", value_name = "MODEL")]
    pub openai_model_name: Option<String>,
    /// Where the OpenAI API answers
    #[arg(long, env = "OPENAI_BASE_URL", value_name = "URL", default_value = openai::DEFAULT_BASE_URL)]
    pub openai_base_url: String,
    /// Provider of rows that name neither provider nor model, gemini or openai, for the whole fleet:
    /// the first worker records it, migrate changes it [default: the one with a key, gemini of both]
    #[arg(long, env = "DEFAULT_PROVIDER", value_name = "PROVIDER", value_parser = named)]
    pub default_provider: Option<Provider>,
}

fn named(word: &str) -> Result<Provider, String> {
    let known = Provider::named(&word.trim().to_ascii_lowercase());
    known.ok_or_else(|| format!("\"{word}\" is no provider; gemini and openai are"))
}

impl ProviderArgs {
    /// Whether any key is set.
    pub fn has_key(&self) -> bool {
        self.with_key().next().is_some()
    }

    /// The providers that a key is set for.
    pub fn with_key(&self) -> impl Iterator<Item = Provider> {
        let all = Provider::ALL.into_iter();
        all.filter(|&provider| self.key_text(provider).is_some())
    }

    /// The one of rows that name none: as wished, else the one with a key.
    pub fn serves_first(&self) -> Provider {
        let one_with_key = self.with_key().next();
        self.default_provider
            .or(one_with_key)
            .unwrap_or(Provider::Gemini)
    }

    /// The one that is called where only one is: the first, if a key of it is set.
    pub fn calls(&self) -> Provider {
        let first = self.serves_first();
        let mut with_key = self.with_key();
        if self.key_text(first).is_some() {
            first
        } else {
            with_key.next().unwrap_or(first)
        }
    }

    fn key_text(&self, provider: Provider) -> Option<&str> {
        let variables = match provider {
            Provider::Gemini => [
                &self.gemini_api_keys,
                &self.gemini_api_key,
                &self.google_ai_studio_api_key,
            ],
            Provider::OpenAi => [&self.openai_api_keys, &self.openai_api_key, &None],
        };
        variables.into_iter().find_map(|text| set(text.as_ref()))
    }

    /// The accounts of a provider; none where no key of it is set. But at least one provider has some.
    pub fn accounts(&self, provider: Provider) -> Result<Vec<Account>, ConfigError> {
        if !self.has_key() {
            return Err(KeysError::Missing.into());
        }
        match self.key_text(provider) {
            None => Ok(Vec::new()),
            Some(text) => parse_keys(text).map_err(|error| ConfigError::KeysOf { provider, error }),
        }
    }

    /// Where a provider answers.
    ///
    /// # Errors
    /// What is no such address would fail each job that is called there: it is refused at the start.
    pub fn base_url(&self, provider: Provider) -> Result<Url, ConfigError> {
        let text = match provider {
            Provider::Gemini => &self.gemini_base_url,
            Provider::OpenAi => &self.openai_base_url,
        };
        let text = set(Some(text)).unwrap_or_else(|| default_url(provider));
        let url = Url::parse(text).map_err(|error| ConfigError::BaseUrl { provider, error })?;
        let is_fit = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none();
        if is_fit {
            Ok(url)
        } else {
            Err(ConfigError::BaseUrlUnfit(provider))
        }
    }

    /// The model wished for as the default of a provider, if one is.
    pub fn model(&self, provider: Provider) -> Result<Option<&str>, ConfigError> {
        let wished = match provider {
            Provider::Gemini => set(self.gemini_model_name.as_ref()),
            Provider::OpenAi => set(self.openai_model_name.as_ref()),
        };
        let is_of_provider =
            |name: &str| Model::from_name(name).is_some_and(|model| model.provider() == provider);
        match wished {
            Some(name) if !is_of_provider(name) => Err(ConfigError::UnknownModel {
                provider,
                name: name.to_owned(),
            }),
            wished => Ok(wished),
        }
    }

    /// The default provider, where one is wished for, as a setting of the fleet.
    pub fn wished_provider(&self) -> Option<FleetSetting> {
        self.default_provider.map(|provider| FleetSetting {
            variable: "DEFAULT_PROVIDER",
            key: "defaultProvider".to_owned(),
            value: provider.as_str().to_owned(),
        })
    }
}

/// The variable that holds a provider's key.
pub fn key_variable(provider: Provider) -> &'static str {
    match provider {
        Provider::Gemini => "GEMINI_API_KEY",
        Provider::OpenAi => "OPENAI_API_KEY",
    }
}

/// The variable that names a provider's default model.
pub fn model_variable(provider: Provider) -> &'static str {
    match provider {
        Provider::Gemini => "GEMINI_MODEL_NAME",
        Provider::OpenAi => "OPENAI_MODEL_NAME",
    }
}

/// The variable that holds a provider's address.
pub fn url_variable(provider: Provider) -> &'static str {
    match provider {
        Provider::Gemini => "GEMINI_BASE_URL",
        Provider::OpenAi => "OPENAI_BASE_URL",
    }
}

/// Where a provider answers, where nothing else is set.
pub fn default_url(provider: Provider) -> &'static str {
    match provider {
        Provider::Gemini => gemini::DEFAULT_BASE_URL,
        Provider::OpenAi => openai::DEFAULT_BASE_URL,
    }
}

#[cfg(test)]
mod tests;
