//! `coconut healthcheck`: asks a server whether it is ready, as a container's health check. Knows as much HTTP as that
//! takes.

use crate::text::units::parse_seconds;
use anyhow::Context as _;
use anyhow::ensure;
use clap::Args;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// More than any status line has.
const HEAD_BYTES: u64 = 4096;

/// Flags of `coconut healthcheck`.
#[derive(Debug, Args)]
pub(super) struct HealthcheckArgs {
    /// Where the server listens: the same variable as the server's own flag.
    #[arg(long, env = "COCONUT_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// Longest time to wait for its answer.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = parse_seconds)]
    timeout: Duration,
}

impl HealthcheckArgs {
    /// Succeeds if the server that listens on the address is ready, and says so in time.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (address, limit) = (reachable(self.address), self.timeout);
        let status = tokio::time::timeout(limit, status_line(address))
            .await
            .with_context(|| {
                format!("no answer from {address} within {} s (--timeout)", limit.as_secs_f64())
            })?
            .with_context(|| format!("cannot ask {address}"))?;
        ensure!(status.split(' ').nth(1) == Some("200"), "not ready: {status}");
        Ok(())
    }
}

/// A server that listens on every address is asked on the loopback one.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn status_line(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("GET /health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    stream.take(HEAD_BYTES).read_to_end(&mut head).await?;
    let head = String::from_utf8_lossy(&head);
    Ok(head.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_address_is_asked_on_loopback() {
        for (listen, ask) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.1:80", "10.0.0.1:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), ask.parse().unwrap());
        }
    }
}
