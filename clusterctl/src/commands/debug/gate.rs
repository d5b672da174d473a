//! A port of this host's loopback that leads to delve, for one user alone: a client of delve can do all that the process
//! can, and every user of this host reaches the loopback.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket, sockopt,
};
use nix::unistd::geteuid;

/// A port that is taken but does not listen yet: clients are refused instead of waiting for delve.
pub(super) struct Gate(TcpListener);

impl Gate {
    /// Take a port; 0 is one that is free.
    pub(super) fn take(port: u16) -> io::Result<Self> {
        let address = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        let bound = |reuse| -> nix::Result<TcpListener> {
            let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
            setsockopt(&socket, sockopt::ReuseAddr, &reuse)?;
            bind(socket.as_raw_fd(), &address)?;
            Ok(TcpListener::from(socket))
        };
        // SO_REUSEADDR gives the port of connections that are still in TIME_WAIT, but also that of a socket which has
        // set it and does not listen (socket(7)): another gate's. So first without.
        Ok(Gate(bound(false).or_else(|_| bound(true))?))
    }

    /// Where it is.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Let connections through to a socket, until this process ends.
    pub(super) fn open(self, socket: PathBuf) -> io::Result<()> {
        listen(&self.0, Backlog::MAXCONN)?;
        thread::spawn(move || {
            for client in self.0.incoming().flatten() {
                if !is_ours(&client) {
                    eprintln!("debug: refused a connection of another user of this host");
                } else if let Err(error) = connect(client, &socket) {
                    eprintln!("debug: a connection to delve failed: {error}");
                }
            }
        });
        Ok(())
    }
}

/// Carry what comes from one side to the other, each way until its end.
fn connect(client: TcpStream, socket: &Path) -> io::Result<()> {
    let delve = UnixStream::connect(socket)?;
    let (to_client, to_delve, ended) = (client.try_clone()?, delve.try_clone()?, delve.try_clone()?);
    carry(client, to_delve, |delve| delve.shutdown(Shutdown::Write));
    carry(delve, to_client, move |client| {
        // delve has gone. ssh waits for the connections that it forwards, and the client may not let go of this one.
        ended.shutdown(Shutdown::Both)?;
        client.shutdown(Shutdown::Both)
    });
    Ok(())
}

fn carry<R, W>(mut from: R, mut to: W, end: impl FnOnce(&W) -> io::Result<()> + Send + 'static)
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    thread::spawn(move || {
        // Either side may go at any time: the other one sees its end.
        let _ = io::copy(&mut from, &mut to);
        let _ = end(&to);
    });
}

/// Whether the client belongs to our user, or to the one that runs us by sudo(8).
fn is_ours(client: &TcpStream) -> bool {
    let Ok((SocketAddr::V4(there), SocketAddr::V4(here))) =
        client.peer_addr().and_then(|there| Ok((there, client.local_addr()?)))
    else {
        return false;
    };
    // A program that speaks both versions of IP is in the second one.
    let mut tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(|path| fs::read_to_string(path).ok());
    let owner = tables.find_map(|table| owner(&table, &written(there), &written(here)));
    let by_sudo = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
    owner.is_some_and(|owner| owner == geteuid().as_raw() || Some(owner) == by_sudo)
}

/// An address as the kernel writes it: in the order of memory, then the port.
fn written(address: SocketAddrV4) -> String {
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}

/// The user of a connection, of the kernel's table of them (proc_pid_net(5)). An address of IP version 6 ends with that
/// of version 4 which it stands for. None has one whose socket was closed: the table then says inode 0, and user 0
/// whoever it was.
fn owner(table: &str, local: &str, remote: &str) -> Option<u32> {
    let of_connection = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_it = fields.len() > 9 && fields[1].ends_with(local) && fields[2].ends_with(remote);
        (is_it && fields[9] != "0").then(|| fields[7].parse().ok()).flatten()
    };
    table.lines().find_map(of_connection)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn the_user_of_a_connection_is_found_in_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:0929 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 1\n   \
                     1: 0100007F:D431 0100007F:0929 01 00000000:00000000 00:00000000 00000000  1000        0 2\n   \
                     2: 0000000000000000FFFF00000100007F:D432 0000000000000000FFFF00000100007F:0929 01 0:0 0:0 0 1001 0 3\n";
        let of = |port: u16| {
            let address = |port| written(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
            owner(table, &address(port), &address(0x0929))
        };
        assert_eq!((of(0xD431), of(0xD432), of(0xD433)), (Some(1000), Some(1001), None));
    }

    #[test]
    fn a_connection_that_its_client_has_closed_is_nobodys_and_not_roots() {
        let table = "   0: 0100007F:D431 0100007F:0929 05 00000000:00000000 00:00000000 00000000     0        0 0\n   \
                     1: 0100007F:D432 0100007F:0929 06 00000000:00000000 03:00001770 00000000     0        0 0\n   \
                     2: 0100007F:D433 0100007F:0929 04 00000000:00000000 00:00000000 00000000     0        0 7\n";
        let of = |port| owner(table, &format!("0100007F:{port}"), "0100007F:0929");
        assert_eq!((of("D431"), of("D432"), of("D433")), (None, None, Some(0)));
    }

    #[test]
    fn until_it_is_open_nobody_connects_to_a_gate_or_takes_its_port() {
        let gate = Gate::take(0).expect("a port");
        let address = gate.address().expect("bound");
        assert_ne!(address.port(), 0);
        let refused = TcpStream::connect(address).expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(Gate::take(address.port()).err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
        gate.open("/nonexistent".into()).expect("it listens");
        TcpStream::connect(address).expect("connected");
        assert_eq!(Gate::take(address.port()).err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
    }

    #[test]
    fn our_own_connections_reach_the_socket_and_end_with_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("s")).expect("bound");
        let gate = Gate::take(0).expect("a port");
        let address = gate.address().expect("bound");
        gate.open(dir.path().join("s")).expect("it listens");
        let mut client = TcpStream::connect(address).expect("connected");
        client.write_all(b"question").expect("written");
        client.shutdown(Shutdown::Write).expect("open");
        let (mut delve, _) = listener.accept().expect("reached");
        let mut text = String::new();
        delve.read_to_string(&mut text).expect("readable");
        delve.write_all(b"answer").expect("written");
        drop(delve);
        client.read_to_string(&mut text).expect("readable");
        assert_eq!(text, "questionanswer");
    }
}
