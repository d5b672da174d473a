//! A client of delve's JSON-RPC API (package rpc2 of github.com/go-delve/delve), as far as a test needs it.

use std::io::Write;
use std::net::TcpStream;

use serde_json::{Deserializer, Value, json};

/// A connection.
pub struct Delve {
    stream: TcpStream,
    /// Of requests: answers come in their order.
    last: u64,
}

impl Delve {
    /// Connect to an address, as `clusterctl debug` prints it.
    ///
    /// # Panics
    /// When nobody listens.
    pub fn connect(address: &str) -> Self {
        Delve { stream: TcpStream::connect(address).expect("delve listens"), last: 0 }
    }

    /// Call a method of `RPCServer`, and return its answer.
    ///
    /// # Panics
    /// When it fails.
    pub fn call(&mut self, method: &str, argument: &Value) -> Value {
        self.send(method, argument);
        self.answer()
    }

    /// Call a method, and don't wait for its answer.
    ///
    /// # Panics
    /// When delve has gone.
    pub fn send(&mut self, method: &str, argument: &Value) {
        self.last += 1;
        let request = json!({"method": format!("RPCServer.{method}"), "params": [argument], "id": self.last});
        writeln!(self.stream, "{request}").expect("delve listens");
    }

    /// The answer to the last call.
    ///
    /// # Panics
    /// When it is an error.
    pub fn answer(&mut self) -> Value {
        let answer = Deserializer::from_reader(&self.stream).into_iter::<Value>().next();
        let answer = answer.expect("an answer").expect("JSON");
        assert_eq!((&answer["id"], &answer["error"]), (&json!(self.last), &Value::Null), "{answer}");
        answer["result"].clone()
    }

    /// Break at a line of a file; returns the breakpoint.
    ///
    /// # Panics
    /// When delve cannot.
    pub fn break_at(&mut self, file: &str, line: usize) -> Value {
        let breakpoint = json!({"Breakpoint": {"file": file, "line": line}});
        self.call("CreateBreakpoint", &breakpoint)["Breakpoint"].clone()
    }

    /// Stop the process.
    ///
    /// # Panics
    /// When delve cannot.
    pub fn halt(&mut self) {
        self.call("Command", &json!({"name": "halt"}));
    }

    /// Let it run on. When it stops, that is the answer.
    ///
    /// # Panics
    /// When delve has gone.
    pub fn go_on(&mut self) {
        self.send("Command", &json!({"name": "continue"}));
    }
}
