# smallservd on the well-known ports: docs/DOCKER.md says how to build and run it. The image has Node, the libraries that
# it is linked with, time zones and smallservd: no shell, no package manager.

FROM node:26-trixie-slim AS build

# What raw-socket is compiled with, strip(1) of binutils, and the time zones.
RUN apt-get update && apt-get install --yes --no-install-recommends binutils g++ make python3 tzdata

WORKDIR /build
COPY package.json package-lock.json ./
# npm ci would refuse a lock file without the optional packages of other platforms.
RUN npm install --ignore-scripts --no-audit --no-fund

# The headers are in the base image; without this node-gyp would download them.
ENV npm_package_config_node_gyp_nodedir=/usr/local
COPY LICENSE tsconfig.json tsconfig.build.json ./
COPY src src
COPY config/smallservd.schema.json config/
# npm install goes on without a raw-socket that does not compile, as it is optional; npm rebuild does not. Of it, only
# what was compiled is kept.
RUN npm run build \
 && npm prune --omit=dev --ignore-scripts \
 && npm rebuild --foreground-scripts raw-socket \
 && rm -r node_modules/.package-lock.json node_modules/nan node_modules/raw-socket/prebuilds node_modules/raw-socket/src \
      node_modules/raw-socket/build/Release/obj.target node_modules/raw-socket/build/Release/.deps \
 && rm -rf node_modules/typescript node_modules/@typescript node_modules/@koromix/*/musl_* \
 && find node_modules/koffi/src/koffi/src -type f ! -name 'static.*' -delete \
 && find dist node_modules -type f '(' -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' ')' -delete \
 && find node_modules -type d -empty -delete
# The config that is used when none is named becomes that of /etc/smallservd. There is no env(1) to find Node.
RUN mkdir -p root/usr/local/bin root/opt root/etc root/usr/share root/dev root/proc root/sys root/tmp \
 && chmod 1777 root/tmp \
 && sed -i '1s|^#!.*|#!/usr/local/bin/node|' dist/smallservd.js dist/smallserv.js \
 && chmod 755 dist/smallservd.js dist/smallserv.js \
 && mkdir root/opt/smallservd \
 && mv dist node_modules package.json LICENSE root/opt/smallservd \
 && ln -s /etc/smallservd root/opt/smallservd/config \
 && ln -s /opt/smallservd/dist/smallservd.js root/usr/local/bin/smallservd \
 && ln -s /opt/smallservd/dist/smallserv.js root/usr/local/bin/smallserv \
 && cp -a /usr/share/zoneinfo root/usr/share \
 && echo 'hosts: files dns' > root/etc/nsswitch.conf
# Of Node, what a debugger would need is left out. ldd(1) tells what is to be linked with it and with the addons.
RUN strip --output-file root/usr/local/bin/node /usr/local/bin/node \
 && find /usr/local/bin/node root/opt -name node -o -name '*.node' | xargs ldd > linked \
 && ! grep 'not found' linked \
 && cp --parents --target-directory root /usr/local/LICENSE /usr/share/doc/libc6/copyright \
      /usr/share/doc/libgcc-s1/copyright /usr/share/doc/libstdc++6/copyright \
 && grep -o '/[^ :]*\.so[^ :]*' linked | sort -u | xargs cp --parents --dereference --target-directory root \
 && root/usr/local/bin/node --version


FROM scratch

LABEL org.opencontainers.image.title="smallservd" \
      org.opencontainers.image.description="The classic small services (echo, discard, chargen, qotd, systat, daytime, time), and stamp, tcpmux, finger, ident and envelope" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.authors="the smallservd authors" \
      org.opencontainers.image.documentation="docs/DOCKER.md"

COPY --from=build /build/root /
COPY config/well-known.yaml /etc/smallservd/smallservd.yaml

ENV PATH=/usr/local/bin
# It owns nothing, and need not be in /etc/passwd. Engines let it bind low ports.
USER 65532:65532
WORKDIR /etc/smallservd

EXPOSE 7/tcp 7/udp 9/tcp 9/udp 11/tcp 13/tcp 13/udp 17/tcp 19/tcp 37/tcp 37/udp 862/udp

STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["smallservd", "status"]
ENTRYPOINT ["smallservd"]
