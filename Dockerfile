# Worker and HTTP as an image. Build: docker build -t safelight .
# Run:   docker run --env-file .env -p 127.0.0.1:8088:8088 -v photos:/var/lib/safelight --stop-timeout 90 safelight
# The stop timeout is longer than SHUTDOWN_GRACE_SECONDS (60) and the last answers (10): Docker's own 10 s
# would cut off calls that are already paid for.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# Queries are checked against .sqlx: no database is reachable from here.
ENV SQLX_OFFLINE=true
COPY . .
RUN cargo build --release --locked --bin safelight

FROM debian:bookworm-slim
# Root certificates for the providers' TLS. The folder belongs to the user, so that a fresh volume does.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/safelight --create-home safelight
COPY --from=build /build/target/release/safelight /usr/local/bin/safelight
USER safelight
# STORAGE=local:./photos is written below here, and the spool: photos that are paid for while the storage
# takes none. Without a volume they go with the container.
WORKDIR /var/lib/safelight
VOLUME /var/lib/safelight
# Of every address of the container; without API_KEYS or the like the start says so and ends.
ENV PORT=8088
EXPOSE 8088
# The form without a shell: SIGTERM reaches safelight itself.
CMD ["safelight", "run"]
