//! Fetch files over HTTP: resumed where the connection broke, and checked against upstream's digests.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use foundation::files::FileError;
use ureq::config::ConfigBuilder;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::{AgentScope, WithoutBody};
use ureq::{Agent, RequestBuilder};

use crate::image::digest;
use crate::image::progress::Stage;

/// How often a file is tried.
const ATTEMPTS: u32 = 4;

/// The most bytes that a file may have, or one that is unpacked from it: kubelet, the largest, has 60 million.
pub const MOST: u64 = 1 << 30;

/// How long a server may take to accept a connection, to answer, and between two pieces of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server could not be reached, or refused.
    #[error("cannot fetch {url}")]
    Http {
        /// The address.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// There was no answer, or it broke off, each time.
    #[error("cannot fetch {url}, tried {ATTEMPTS} times")]
    Broken {
        /// The address.
        url: String,
        /// Why, the last time.
        source: io::Error,
    },
    /// Its digest is not the one that upstream publishes.
    #[error("{url} has the SHA-256 {actual}, and {expected} was promised; it was not used")]
    Digest {
        /// The address.
        url: String,
        /// What its server says.
        expected: String,
        /// What came.
        actual: String,
    },
    /// It is larger than any file of upstream's.
    #[error("{url} has more than {} MiB; it was not used", MOST >> 20)]
    TooLong {
        /// The address.
        url: String,
    },
    /// The file that should hold the digest does not.
    #[error("{url} holds no SHA-256")]
    NoDigest {
        /// The address.
        url: String,
    },
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// An HTTP client for large files.
pub struct Client {
    agent: Agent,
}

impl Default for Client {
    fn default() -> Self {
        let config = config().timeout_connect(Some(PATIENCE)).timeout_recv_response(Some(PATIENCE));
        let config = config.timeout_per_read(Some(PATIENCE));
        Client { agent: config.build().into() }
    }
}

/// This machine's own certificate authorities, and (by default) the proxy that the environment names.
fn config() -> ConfigBuilder<AgentScope> {
    Agent::config_builder().tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
}

/// Ask for a file without fetching it, within `deadline`.
///
/// # Errors
/// The server does not answer in time, or has no such file.
pub(crate) fn probe(url: &str, deadline: Duration) -> Result<(), Box<ureq::Error>> {
    let agent = Agent::from(config().timeout_global(Some(deadline)).build());
    agent.head(url).call().map(drop).map_err(Box::new)
}

/// The first `length` bytes of a file, within `deadline`.
///
/// # Errors
/// The server does not answer in time, or has no such file.
pub(crate) fn beginning(url: &str, length: u64, deadline: Duration) -> Result<String, Box<ureq::Error>> {
    let agent = Agent::from(config().timeout_global(Some(deadline)).build());
    let mut response = agent.get(url).call()?;
    let mut bytes = Vec::new();
    response.body_mut().as_reader().take(length).read_to_end(&mut bytes).map_err(ureq::Error::from)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Client {
    /// Fetch `url` to `path`, and check it against the digest that `digest_url` holds.
    ///
    /// # Errors
    /// It cannot be fetched, or has another digest: then `path` does not exist.
    pub fn verified(&self, stage: &Stage, url: &str, digest_url: &str, path: &Path) -> Result<(), DownloadError> {
        let expected = self.digest(digest_url)?;
        self.fetch(stage, url, path)?;
        let actual = digest::sha256_file(path).map_err(FileError::of("read", path))?;
        if actual == expected {
            return Ok(());
        }
        std::fs::remove_file(path).map_err(FileError::of("remove", path))?;
        Err(DownloadError::Digest { url: url.to_owned(), expected, actual })
    }

    fn digest(&self, url: &str) -> Result<String, DownloadError> {
        let http = |source| DownloadError::Http { url: url.to_owned(), source: Box::new(source) };
        let text = self.get(url).call().map_err(http)?.body_mut().read_to_string().map_err(http)?;
        parse_digest(&text).ok_or_else(|| DownloadError::NoDigest { url: url.to_owned() })
    }

    /// A file that is asked for over TLS is not fetched without, wherever a redirection leads.
    fn get(&self, url: &str) -> RequestBuilder<WithoutBody> {
        self.agent.get(url).config().https_only(url.starts_with("https://")).build()
    }

    fn fetch(&self, stage: &Stage, url: &str, path: &Path) -> Result<(), DownloadError> {
        stage.detail(url.rsplit('/').next().unwrap_or(url));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path);
        let file = file.as_mut().map_err(|error| FileError::of("create", path)(io::Error::from(error.kind())))?;
        let mut have = 0;
        for attempt in 1.. {
            let broken = match self.piece(stage, url, file, path, &mut have)? {
                Ok(()) => return Ok(()),
                Err(broken) => broken,
            };
            if stage.is_interrupted() {
                return Err(DownloadError::Interrupted);
            }
            if attempt == ATTEMPTS {
                return Err(DownloadError::Broken { url: url.to_owned(), source: broken });
            }
            thread::sleep(Duration::from_secs(1) * attempt);
        }
        Ok(())
    }

    /// Get the rest of a file. The inner error is a connection that broke: it can be tried again.
    fn piece(
        &self,
        stage: &Stage,
        url: &str,
        file: &mut File,
        path: &Path,
        have: &mut u64,
    ) -> Result<Result<(), io::Error>, DownloadError> {
        let mut request = self.get(url);
        if *have > 0 {
            request = request.header("range", format!("bytes={have}-"));
        }
        let response = match request.call() {
            Ok(response) => response,
            // A refusal is final; other failures may pass.
            Err(source @ ureq::Error::StatusCode(status)) if status < 500 => {
                return Err(DownloadError::Http { url: url.to_owned(), source: Box::new(source) });
            }
            Err(other) => return Ok(Err(io::Error::other(other))),
        };
        // 206: the rest (RFC 9110 section 15.3.7). A server that does not know ranges sends all of it again.
        if *have > 0 && response.status().as_u16() != 206 {
            *have = 0;
            io::Seek::rewind(file).and_then(|()| file.set_len(0)).map_err(FileError::of("write", path))?;
        }
        let length =
            response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let too_long = || DownloadError::TooLong { url: url.to_owned() };
        if let Some(length) = length {
            if have.saturating_add(length) > MOST {
                return Err(too_long());
            }
            stage.total(*have + length);
        }
        let expected = length.map(|length| *have + length);
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 17];
        loop {
            if stage.is_interrupted() {
                return Err(DownloadError::Interrupted);
            }
            match body.read(&mut buffer) {
                Ok(0) if expected.is_some_and(|expected| *have < expected) => {
                    return Ok(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(0) => return Ok(Ok(())),
                Ok(count) if *have + count as u64 > MOST => return Err(too_long()),
                Ok(count) => file.write_all(&buffer[..count]).map_err(FileError::of("write", path))?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(error)),
            }
            *have = io::Seek::stream_position(file).map_err(FileError::of("write", path))?;
            stage.position(*have);
        }
    }
}

/// The first word of a file as sha256sum writes it, or of upstream's that hold nothing else.
fn parse_digest(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?.to_ascii_lowercase();
    (word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    #[test]
    fn digests_are_read_bare_or_as_sha256sum_writes_them() {
        let digest = "a".repeat(64);
        assert_eq!(parse_digest(&digest), Some(digest.clone()));
        assert_eq!(parse_digest(&format!("{}  kubeadm\n", digest.to_uppercase())), Some(digest));
        assert_eq!(parse_digest("<html>not found</html>"), None);
        assert_eq!(parse_digest(""), None);
    }

    /// Answer requests with what `answer` makes of the range's beginning, then close the connection.
    fn serve(requests: usize, answer: impl Fn(u64) -> Vec<u8> + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for connection in listener.incoming().take(requests) {
                let mut connection = connection.expect("a connection");
                let lines = BufReader::new(connection.try_clone().expect("cloned")).lines();
                let headers: Vec<_> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                let range = headers.iter().find_map(|line| line.strip_prefix("range: bytes="));
                let from = range.and_then(|range| range.trim_end_matches('-').parse().ok()).unwrap_or(0);
                connection.write_all(&answer(from)).expect("answered");
            }
        });
        format!("http://{address}/file")
    }

    fn fetch(url: &str) -> Result<String, DownloadError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        let progress = crate::image::progress::Progress::to_stderr();
        progress.stage("fetch", |stage| Client::default().fetch(stage, url, &path))?;
        Ok(std::fs::read_to_string(path).expect("read"))
    }

    #[test]
    fn a_download_that_breaks_goes_on_where_it_broke() {
        let url = serve(2, |from| {
            if from == 0 {
                b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234".to_vec()
            } else {
                assert_eq!(from, 5);
                b"HTTP/1.1 206 Partial Content\r\ncontent-length: 5\r\n\r\n56789".to_vec()
            }
        });
        assert_eq!(fetch(&url).expect("fetched"), "0123456789");
    }

    #[test]
    fn a_server_that_says_no_is_not_asked_again() {
        let url = serve(1, |_| b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec());
        let error = fetch(&url).expect_err("refused");
        assert!(error.to_string().starts_with("cannot fetch http://127.0.0.1:"), "{error}");
        let source = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(source.contains("404"), "{source}");
    }
}
