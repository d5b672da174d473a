//! Network links of the calling thread's namespace, by the ioctls of netdevice(7).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

const SYSFS: &str = "/sys/class/net";

/// netdevice(7); SIOCBRDELBR is in linux/sockios.h.
mod ioctls {
    nix::ioctl_readwrite_bad!(get_flags, libc::SIOCGIFFLAGS, libc::ifreq);
    nix::ioctl_write_ptr_bad!(set_flags, libc::SIOCSIFFLAGS, libc::ifreq);
    nix::ioctl_write_ptr_bad!(delete_bridge, 0x89a1, libc::ifreq);
}

/// The bridges of the host.
pub(crate) fn bridges() -> io::Result<BTreeSet<String>> {
    let names = fs::read_dir(SYSFS)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| is_bridge(name)).collect())
}

/// Whether a link of the host is a bridge.
pub(crate) fn is_bridge(name: &str) -> bool {
    Path::new(SYSFS).join(name).join("bridge").is_dir()
}

/// Whether a bridge of the host has ports.
pub(crate) fn has_ports(bridge: &str) -> bool {
    let ports = fs::read_dir(Path::new(SYSFS).join(bridge).join("brif"));
    ports.is_ok_and(|mut ports| ports.next().is_some())
}

/// The hardware address of a link of the host.
pub(crate) fn mac(name: &str) -> Option<String> {
    // The name comes from a plugin: it must not become another path.
    let path = Path::new(SYSFS).join(name).join("address");
    let text = fs::read_to_string(path).ok().filter(|_| !name.contains('/'))?;
    Some(text.trim().to_owned())
}

/// Set a link up.
pub(crate) fn set_up(name: &str) -> io::Result<()> {
    change_flags(name, |flags| flags | libc::IFF_UP)
}

/// Set a bridge down and delete it.
pub(crate) fn delete_bridge(name: &str) -> io::Result<()> {
    // SIOCBRDELBR refuses a bridge that is up.
    change_flags(name, |flags| flags & !libc::IFF_UP)?;
    let request = request(name)?;
    // SAFETY: SIOCBRDELBR reads a NUL-terminated interface name, with which an ifreq begins.
    unsafe { ioctls::delete_bridge(any_socket()?.as_raw_fd(), &raw const request) }?;
    Ok(())
}

fn change_flags(name: &str, change: impl FnOnce(i32) -> i32) -> io::Result<()> {
    let socket = any_socket()?;
    let mut request = request(name)?;
    // SAFETY: SIOCGIFFLAGS reads ifr_name and writes ifru_flags of the ifreq given.
    unsafe { ioctls::get_flags(socket.as_raw_fd(), &raw mut request) }?;
    // SAFETY: the kernel has just written this member of the union.
    let flags = i32::from(unsafe { request.ifr_ifru.ifru_flags });
    request.ifr_ifru.ifru_flags = i16::try_from(change(flags) & 0xffff).map_err(io::Error::other)?;
    // SAFETY: SIOCSIFFLAGS reads ifr_name and ifru_flags of the ifreq given.
    unsafe { ioctls::set_flags(socket.as_raw_fd(), &raw const request) }?;
    Ok(())
}

/// A socket to address links by their name; its family does not matter (netdevice(7)).
fn any_socket() -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?)
}

fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: an ifreq is integers, arrays and unions of them: all zeros is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("interface name {name:?} is too long")));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    Ok(request)
}
