//! Servers that answer a download with something else.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

use nodectl::image::digest;
use nodectl::image::download::{Client, DownloadError};
use nodectl::image::progress::Progress;

use super::ground::Ground;

/// A server that answers each request by its path.
fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let lines = BufReader::new(&connection).lines().map_while(Result::ok);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let path = head.first().and_then(|request| request.split(' ').nth(1)).unwrap_or("/");
            // It may have hung up.
            let _ = connection.write_all(&answer(path));
        }
    });
    format!("http://{address}")
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn what_is_not_as_promised_is_not_kept() {
    Ground::with(|ground| {
        let url = serve(|path| match path {
            "/good.sha256" | "/huge.sha256" | "/moved.sha256" => {
                ok(&digest::sha256("program".as_bytes()).expect("read"))
            }
            "/good" => ok("program"),
            "/other.sha256" => ok(&"0".repeat(64)),
            "/html.sha256" => ok("<html>please log in</html>"),
            "/short.sha256" => ok("abc"),
            "/empty.sha256" => ok(""),
            "/flood.sha256" => ok(&"0".repeat(32 << 20)),
            "/binary.sha256" => [ok("")[..17].to_vec(), b"content-length: 3\r\n\r\n\xff\xfe\xfd".to_vec()].concat(),
            "/huge" => b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\nx".to_vec(),
            "/other" => ok("another program"),
            "/moved" => b"HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n".to_vec(),
            "/loop.sha256" => b"HTTP/1.1 302 Found\r\nlocation: /loop.sha256\r\ncontent-length: 0\r\n\r\n".to_vec(),
            "/split.sha256" => b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n".to_vec(),
            "/garbage.sha256" => b"\0\xff\0\xff\r\n\r\n".to_vec(),
            "/lies.sha256" => b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\ncontent-length: 1\r\n\r\n0".to_vec(),
            _ => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
        });
        let fetch = |name: &str| {
            let path = ground.path("state").join("file");
            std::fs::create_dir_all(ground.path("state")).expect("made");
            let (url, digest_url) = (format!("{url}/{name}"), format!("{url}/{name}.sha256"));
            let progress = Progress::to_stderr();
            let client = Client::default();
            let fetched = progress.stage("fetch", |stage| client.verified(stage, &url, &digest_url, &path));
            ground.assert_unchanged();
            fetched.map(|()| std::fs::read_to_string(path).expect("read"))
        };
        assert_eq!(fetch("good").expect("fetched"), "program");
        assert!(matches!(fetch("other"), Err(DownloadError::Digest { .. })));
        assert!(!ground.path("state/file").exists(), "it is not there to be used");
        assert!(matches!(fetch("huge"), Err(DownloadError::TooLong { .. })));
        for name in ["html", "short", "empty"] {
            assert!(matches!(fetch(name), Err(DownloadError::NoDigest { .. })), "{name}");
        }
        for name in ["flood", "binary", "moved", "loop", "split", "garbage", "lies", "missing"] {
            let error = fetch(name).expect_err(name);
            assert!(matches!(error, DownloadError::Http { .. } | DownloadError::Broken { .. }), "{name}: {error:?}");
        }
    });
}
