# The operator's image: one static program, and nothing else. `make image` makes the same without a container engine, and a
# test of image/ compares what both say of it.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION=$(git rev-parse HEAD) \
#     --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) --tag borealis .

FROM rust:1.95.0-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends musl-tools && rm -rf /var/lib/apt/lists/*
WORKDIR /borealis
COPY . .
ARG SOURCE_DATE_EPOCH=0
RUN image/build /program

# No certificates: the API server's come with the service account, and whom checks may ask is the cluster's to say
# (docs/image.md).
FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="borealis" \
      org.opencontainers.image.description="Apache Aurora's semantics for Kubernetes: the operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build --chown=0:0 --chmod=0555 /program /borealis
# BuildKit would add a PATH of its own.
ENV PATH=/
WORKDIR /
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/borealis"]
