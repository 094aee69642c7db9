# bash completion of smallservd and smallserv. Made of the code: npm run docs.
# shellcheck shell=bash

_smallservd_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_smallservd_hosts() {
  _known_hosts_real -- "$cur"
  __ltrim_colon_completions "$cur"
}

# The keys of a config, for --set KEY=VALUE.
_smallservd_keys() {
  compopt -o nospace
  mapfile -t COMPREPLY < <(compgen -S = -W "$_smallservd_all_keys" -- "$cur")
}

# Names between commas.
_smallservd_services() {
  local before=
  [[ $cur == *,* ]] && before=${cur%,*},
  mapfile -t COMPREPLY < <(compgen -P "$before" -W 'echo discard chargen qotd systat daytime time' -- "${cur##*,}")
}

_smallservd_service_ports() {
  compopt -o nospace
  mapfile -t COMPREPLY < <(compgen -S = -W 'echo discard chargen qotd systat daytime time' -- "$cur")
}

# The names in /etc/services or /etc/protocols.
_smallservd_database() {
  _smallservd_words "$(getent "$1" | awk '{ print $1 }' | sort -u)"
}

# Which argument of the command the current word is: 0 is the first. The options in $1, between spaces, take the next word.
_smallservd_place() {
  local index place=0
  for ((index = 2; index < cword; index++)); do
    if [[ ${words[index]} == -* ]]; then
      [[ " $1 " == *" ${words[index]} "* ]] && ((index++))
    else
      ((place++))
    fi
  done
  echo "$place"
}

_smallservd_all_keys='workers
user
group
log.level
log.connections
log.file
shutdown.grace
reload.grace
admin.listen
admin.hosts
defaults.allow
defaults.deny
defaults.exempt
defaults.dryRun
defaults.proxyProtocol.from
defaults.proxyProtocol.exempt
defaults.proxyProtocol.timeout
defaults.idleTimeout
defaults.stallTimeout
defaults.maxLifetime
defaults.lingerTimeout
defaults.maxBytes
defaults.maxConnections
defaults.maxConnectionsPerSource
defaults.networkShare.ipv6Prefix56
defaults.networkShare.ipv6Prefix48
defaults.connectionRate.perSecond
defaults.connectionRate.burst
defaults.streamPrefix.ipv4
defaults.streamPrefix.ipv6
defaults.keepAlive.enabled
defaults.keepAlive.delay
defaults.noDelay
defaults.backlog
defaults.datagramRate.perSecond
defaults.datagramRate.burst
defaults.datagramServiceRate.perSecond
defaults.datagramServiceRate.burst
defaults.datagramPrefix.ipv4
defaults.datagramPrefix.ipv6
defaults.maxAmplification
defaults.allowSourcePorts
defaults.receiveBuffer
defaults.exposeUdp
services.echo.type
services.echo.module
services.echo.listen
services.echo.allow
services.echo.deny
services.echo.exempt
services.echo.dryRun
services.echo.proxyProtocol.from
services.echo.proxyProtocol.exempt
services.echo.proxyProtocol.timeout
services.echo.idleTimeout
services.echo.stallTimeout
services.echo.maxLifetime
services.echo.lingerTimeout
services.echo.maxBytes
services.echo.maxConnections
services.echo.maxConnectionsPerSource
services.echo.networkShare.ipv6Prefix56
services.echo.networkShare.ipv6Prefix48
services.echo.connectionRate.perSecond
services.echo.connectionRate.burst
services.echo.streamPrefix.ipv4
services.echo.streamPrefix.ipv6
services.echo.keepAlive.enabled
services.echo.keepAlive.delay
services.echo.noDelay
services.echo.backlog
services.echo.datagramRate.perSecond
services.echo.datagramRate.burst
services.echo.datagramServiceRate.perSecond
services.echo.datagramServiceRate.burst
services.echo.datagramPrefix.ipv4
services.echo.datagramPrefix.ipv6
services.echo.maxAmplification
services.echo.allowSourcePorts
services.echo.receiveBuffer
services.echo.exposeUdp
services.discard.type
services.discard.module
services.discard.listen
services.discard.allow
services.discard.deny
services.discard.exempt
services.discard.dryRun
services.discard.proxyProtocol.from
services.discard.proxyProtocol.exempt
services.discard.proxyProtocol.timeout
services.discard.idleTimeout
services.discard.stallTimeout
services.discard.maxLifetime
services.discard.lingerTimeout
services.discard.maxBytes
services.discard.maxConnections
services.discard.maxConnectionsPerSource
services.discard.networkShare.ipv6Prefix56
services.discard.networkShare.ipv6Prefix48
services.discard.connectionRate.perSecond
services.discard.connectionRate.burst
services.discard.streamPrefix.ipv4
services.discard.streamPrefix.ipv6
services.discard.keepAlive.enabled
services.discard.keepAlive.delay
services.discard.noDelay
services.discard.backlog
services.discard.datagramRate.perSecond
services.discard.datagramRate.burst
services.discard.datagramServiceRate.perSecond
services.discard.datagramServiceRate.burst
services.discard.datagramPrefix.ipv4
services.discard.datagramPrefix.ipv6
services.discard.maxAmplification
services.discard.allowSourcePorts
services.discard.receiveBuffer
services.discard.exposeUdp
services.chargen.type
services.chargen.module
services.chargen.listen
services.chargen.allow
services.chargen.deny
services.chargen.exempt
services.chargen.dryRun
services.chargen.proxyProtocol.from
services.chargen.proxyProtocol.exempt
services.chargen.proxyProtocol.timeout
services.chargen.idleTimeout
services.chargen.stallTimeout
services.chargen.maxLifetime
services.chargen.lingerTimeout
services.chargen.maxBytes
services.chargen.maxConnections
services.chargen.maxConnectionsPerSource
services.chargen.networkShare.ipv6Prefix56
services.chargen.networkShare.ipv6Prefix48
services.chargen.connectionRate.perSecond
services.chargen.connectionRate.burst
services.chargen.streamPrefix.ipv4
services.chargen.streamPrefix.ipv6
services.chargen.keepAlive.enabled
services.chargen.keepAlive.delay
services.chargen.noDelay
services.chargen.backlog
services.chargen.datagramRate.perSecond
services.chargen.datagramRate.burst
services.chargen.datagramServiceRate.perSecond
services.chargen.datagramServiceRate.burst
services.chargen.datagramPrefix.ipv4
services.chargen.datagramPrefix.ipv6
services.chargen.maxAmplification
services.chargen.allowSourcePorts
services.chargen.receiveBuffer
services.chargen.exposeUdp
services.qotd.type
services.qotd.module
services.qotd.listen
services.qotd.allow
services.qotd.deny
services.qotd.exempt
services.qotd.dryRun
services.qotd.proxyProtocol.from
services.qotd.proxyProtocol.exempt
services.qotd.proxyProtocol.timeout
services.qotd.idleTimeout
services.qotd.stallTimeout
services.qotd.maxLifetime
services.qotd.lingerTimeout
services.qotd.maxBytes
services.qotd.maxConnections
services.qotd.maxConnectionsPerSource
services.qotd.networkShare.ipv6Prefix56
services.qotd.networkShare.ipv6Prefix48
services.qotd.connectionRate.perSecond
services.qotd.connectionRate.burst
services.qotd.streamPrefix.ipv4
services.qotd.streamPrefix.ipv6
services.qotd.keepAlive.enabled
services.qotd.keepAlive.delay
services.qotd.noDelay
services.qotd.backlog
services.qotd.datagramRate.perSecond
services.qotd.datagramRate.burst
services.qotd.datagramServiceRate.perSecond
services.qotd.datagramServiceRate.burst
services.qotd.datagramPrefix.ipv4
services.qotd.datagramPrefix.ipv6
services.qotd.maxAmplification
services.qotd.allowSourcePorts
services.qotd.receiveBuffer
services.qotd.exposeUdp
services.qotd.file
services.qotd.choice
services.systat.type
services.systat.module
services.systat.listen
services.systat.allow
services.systat.deny
services.systat.exempt
services.systat.dryRun
services.systat.proxyProtocol.from
services.systat.proxyProtocol.exempt
services.systat.proxyProtocol.timeout
services.systat.idleTimeout
services.systat.stallTimeout
services.systat.maxLifetime
services.systat.lingerTimeout
services.systat.maxBytes
services.systat.maxConnections
services.systat.maxConnectionsPerSource
services.systat.networkShare.ipv6Prefix56
services.systat.networkShare.ipv6Prefix48
services.systat.connectionRate.perSecond
services.systat.connectionRate.burst
services.systat.streamPrefix.ipv4
services.systat.streamPrefix.ipv6
services.systat.keepAlive.enabled
services.systat.keepAlive.delay
services.systat.noDelay
services.systat.backlog
services.systat.datagramRate.perSecond
services.systat.datagramRate.burst
services.systat.datagramServiceRate.perSecond
services.systat.datagramServiceRate.burst
services.systat.datagramPrefix.ipv4
services.systat.datagramPrefix.ipv6
services.systat.maxAmplification
services.systat.allowSourcePorts
services.systat.receiveBuffer
services.systat.exposeUdp
services.systat.show
services.systat.text
services.daytime.type
services.daytime.module
services.daytime.listen
services.daytime.allow
services.daytime.deny
services.daytime.exempt
services.daytime.dryRun
services.daytime.proxyProtocol.from
services.daytime.proxyProtocol.exempt
services.daytime.proxyProtocol.timeout
services.daytime.idleTimeout
services.daytime.stallTimeout
services.daytime.maxLifetime
services.daytime.lingerTimeout
services.daytime.maxBytes
services.daytime.maxConnections
services.daytime.maxConnectionsPerSource
services.daytime.networkShare.ipv6Prefix56
services.daytime.networkShare.ipv6Prefix48
services.daytime.connectionRate.perSecond
services.daytime.connectionRate.burst
services.daytime.streamPrefix.ipv4
services.daytime.streamPrefix.ipv6
services.daytime.keepAlive.enabled
services.daytime.keepAlive.delay
services.daytime.noDelay
services.daytime.backlog
services.daytime.datagramRate.perSecond
services.daytime.datagramRate.burst
services.daytime.datagramServiceRate.perSecond
services.daytime.datagramServiceRate.burst
services.daytime.datagramPrefix.ipv4
services.daytime.datagramPrefix.ipv6
services.daytime.maxAmplification
services.daytime.allowSourcePorts
services.daytime.receiveBuffer
services.daytime.exposeUdp
services.daytime.format
services.daytime.zone
services.time.type
services.time.module
services.time.listen
services.time.allow
services.time.deny
services.time.exempt
services.time.dryRun
services.time.proxyProtocol.from
services.time.proxyProtocol.exempt
services.time.proxyProtocol.timeout
services.time.idleTimeout
services.time.stallTimeout
services.time.maxLifetime
services.time.lingerTimeout
services.time.maxBytes
services.time.maxConnections
services.time.maxConnectionsPerSource
services.time.networkShare.ipv6Prefix56
services.time.networkShare.ipv6Prefix48
services.time.connectionRate.perSecond
services.time.connectionRate.burst
services.time.streamPrefix.ipv4
services.time.streamPrefix.ipv6
services.time.keepAlive.enabled
services.time.keepAlive.delay
services.time.noDelay
services.time.backlog
services.time.datagramRate.perSecond
services.time.datagramRate.burst
services.time.datagramServiceRate.perSecond
services.time.datagramServiceRate.burst
services.time.datagramPrefix.ipv4
services.time.datagramPrefix.ipv6
services.time.maxAmplification
services.time.allowSourcePorts
services.time.receiveBuffer
services.time.exposeUdp'

_smallservd() {
  local cur prev words cword split
  _init_completion -s -n : || return
  if ((cword == 1)) && ! $split; then
    _smallservd_words 'run check reload status services install-service help -V --version -h --help -c --config --set'
    return
  fi
  case ${words[1]} in
    help) _smallservd_words 'run check reload status services install-service' ;;
    run) _smallservd_command_run ;;
    check) _smallservd_command_check ;;
    reload) _smallservd_command_reload ;;
    status) _smallservd_command_status ;;
    services) _smallservd_command_services ;;
    install-service) _smallservd_command_install_service ;;
    -*) _smallservd_command_run ;;
  esac
}

_smallservd_command_run() {
  case $prev in
    -c | --config)
      _filedir
      return
      ;;
    --set)
      _smallservd_keys
      return
      ;;
  esac
  if [[ $cur == -* || -z $cur ]]; then
    _smallservd_words '-c --config --set -h --help'
    return
  fi
}

_smallservd_command_check() {
  case $prev in
    -c | --config)
      _filedir
      return
      ;;
    --set)
      _smallservd_keys
      return
      ;;
    --admin)
      :
      return
      ;;
  esac
  if [[ $cur == -* || -z $cur ]]; then
    _smallservd_words '-c --config --set --json --diff --admin -h --help'
    return
  fi
}

_smallservd_command_reload() {
  case $prev in
    -c | --config)
      _filedir
      return
      ;;
    --set)
      _smallservd_keys
      return
      ;;
    --admin)
      :
      return
      ;;
  esac
  if [[ $cur == -* || -z $cur ]]; then
    _smallservd_words '-c --config --set --admin -h --help'
    return
  fi
}

_smallservd_command_status() {
  case $prev in
    -c | --config)
      _filedir
      return
      ;;
    --set)
      _smallservd_keys
      return
      ;;
    --admin)
      :
      return
      ;;
  esac
  if [[ $cur == -* || -z $cur ]]; then
    _smallservd_words '-c --config --set --json --watch --admin -h --help'
    return
  fi
}

_smallservd_command_services() {
  if [[ $cur == -* || -z $cur ]]; then
    _smallservd_words '-h --help'
    return
  fi
}

_smallservd_command_install_service() {
  case $prev in
    --root)
      _filedir -d
      return
      ;;
  esac
  if [[ $cur == -* || -z $cur ]]; then
    _smallservd_words '--sandboxed --dry-run --remove --root -h --help'
    return
  fi
}

complete -F _smallservd smallservd

_smallserv() {
  local cur prev words cword split
  _init_completion -s -n : || return
  if ((cword == 1)) && ! $split; then
    _smallservd_words 'ip mask resolve lookup-host lookup-port lookup-protocol head daytime time qotd systat chargen discard echo ping load conform help -V --version -h --help'
    return
  fi
  case ${words[1]} in
    help) _smallservd_words 'ip mask resolve lookup-host lookup-port lookup-protocol head daytime time qotd systat chargen discard echo ping load conform' ;;
    ip) _smallserv_command_ip ;;
    mask) _smallserv_command_mask ;;
    resolve) _smallserv_command_resolve ;;
    lookup-host) _smallserv_command_lookup_host ;;
    lookup-port) _smallserv_command_lookup_port ;;
    lookup-protocol) _smallserv_command_lookup_protocol ;;
    head) _smallserv_command_head ;;
    daytime) _smallserv_command_daytime ;;
    time) _smallserv_command_time ;;
    qotd) _smallserv_command_qotd ;;
    systat) _smallserv_command_systat ;;
    chargen) _smallserv_command_chargen ;;
    discard) _smallserv_command_discard ;;
    echo) _smallserv_command_echo ;;
    ping) _smallserv_command_ping ;;
    load) _smallserv_command_load ;;
    conform) _smallserv_command_conform ;;
  esac
}

_smallserv_command_ip() {
  if [[ $cur == -* ]]; then
    _smallservd_words '--json -h --help'
    return
  fi
}

_smallserv_command_mask() {
  if [[ $cur == -* ]]; then
    _smallservd_words '--json -h --help'
    return
  fi
}

_smallserv_command_resolve() {
  case $prev in
    --family)
      _smallservd_words 'ip ip4 ip6'
      return
      ;;
    --timeout)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '--family -4 -6 --timeout --json -h --help'
    return
  fi
  case $(_smallservd_place '--family --timeout') in
    0) _smallservd_hosts ;;
  esac
}

_smallserv_command_lookup_host() {
  case $prev in
    --timeout)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '--cname -4 -6 --timeout --json -h --help'
    return
  fi
  case $(_smallservd_place '--timeout') in
    0) _smallservd_hosts ;;
  esac
}

_smallserv_command_lookup_port() {
  if [[ $cur == -* ]]; then
    _smallservd_words '--json -h --help'
    return
  fi
  case $(_smallservd_place '') in
    0) _smallservd_words 'tcp tcp4 tcp6 udp udp4 udp6' ;;
    1) _smallservd_database services ;;
  esac
}

_smallserv_command_lookup_protocol() {
  if [[ $cur == -* ]]; then
    _smallservd_words '--json -h --help'
    return
  fi
  case $(_smallservd_place '') in
    0) _smallservd_database protocols ;;
  esac
}

_smallserv_command_head() {
  case $prev in
    --path)
      :
      return
      ;;
    --timeout)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '--path -4 -6 --timeout --json -h --help'
    return
  fi
  case $(_smallservd_place '--path --timeout') in
    0) _smallservd_hosts ;;
  esac
}

_smallserv_command_daytime() {
  case $prev in
    --timeout)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '-u --udp -4 -6 --timeout --json -h --help'
    return
  fi
  case $(_smallservd_place '--timeout') in
    0) _smallservd_hosts ;;
  esac
}

_smallserv_command_time() {
  case $prev in
    --timeout)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '-u --udp -4 -6 --timeout --json -h --help'
    return
  fi
  case $(_smallservd_place '--timeout') in
    0) _smallservd_hosts ;;
  esac
}

_smallserv_command_qotd() {
  case $prev in
    --timeout)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '-u --udp -4 -6 --timeout --json -h --help'
    return
  fi
  case $(_smallservd_place '--timeout') in
    0) _smallservd_hosts ;;
  esac
}

_smallserv_command_systat() {
  case $prev in
    --timeout)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '-u --udp -4 -6 --timeout --json -h --help'
    return
  fi
  case $(_smallservd_place '--timeout') in
    0) _smallservd_hosts ;;
  esac
}

_smallserv_command_chargen() {
  case $prev in
    --timeout)
      :
      return
      ;;
    --bytes)
      :
      return
      ;;
    --lines)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '-u --udp -4 -6 --timeout --json --bytes --lines --verify -h --help'
    return
  fi
  case $(_smallservd_place '--timeout --bytes --lines') in
    0) _smallservd_hosts ;;
  esac
}

_smallserv_command_discard() {
  case $prev in
    --timeout)
      :
      return
      ;;
    --bytes)
      :
      return
      ;;
    --size)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '-u --udp -4 -6 --timeout --json --bytes --size -h --help'
    return
  fi
  case $(_smallservd_place '--timeout --bytes --size') in
    0) _smallservd_hosts ;;
    1) _filedir ;;
  esac
}

_smallserv_command_echo() {
  case $prev in
    --timeout)
      :
      return
      ;;
    -c | --count)
      :
      return
      ;;
    -i | --interval)
      :
      return
      ;;
    -s | --size)
      :
      return
      ;;
    --keepalive)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '-u --udp -4 -6 --timeout --json -c --count -i --interval -s --size -q --quiet --keepalive -h --help'
    return
  fi
  case $(_smallservd_place '--timeout -c --count -i --interval -s --size --keepalive') in
    0) _smallservd_hosts ;;
  esac
}

_smallserv_command_ping() {
  case $prev in
    --timeout)
      :
      return
      ;;
    -c | --count)
      :
      return
      ;;
    -i | --interval)
      :
      return
      ;;
    -s | --size)
      :
      return
      ;;
    -t | --ttl)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '-4 -6 --timeout --json -c --count -i --interval -s --size -t --ttl -q --quiet -h --help'
    return
  fi
  case $(_smallservd_place '--timeout -c --count -i --interval -s --size -t --ttl') in
    0) _smallservd_hosts ;;
  esac
}

_smallserv_command_load() {
  case $prev in
    -s | --service)
      _smallservd_words 'echo discard chargen daytime time qotd systat'
      return
      ;;
    -c | --connections)
      :
      return
      ;;
    -d | --duration)
      :
      return
      ;;
    -r | --rate)
      :
      return
      ;;
    -n | --requests)
      :
      return
      ;;
    --size)
      :
      return
      ;;
    --timeout)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '-s --service -c --connections -d --duration -r --rate -n --requests --size -u --udp -4 -6 --timeout --json -h --help'
    return
  fi
  case $(_smallservd_place '-s --service -c --connections -d --duration -r --rate -n --requests --size --timeout') in
    0) _smallservd_hosts ;;
  esac
}

_smallserv_command_conform() {
  case $prev in
    --services)
      _smallservd_services
      return
      ;;
    --base-port)
      :
      return
      ;;
    --port)
      _smallservd_service_ports
      return
      ;;
    --timeout)
      :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    _smallservd_words '--services --base-port --port --tcp-only --udp-only -4 -6 --timeout --json -h --help'
    return
  fi
  case $(_smallservd_place '--services --base-port --port --timeout') in
    0) _smallservd_hosts ;;
  esac
}

complete -F _smallserv smallserv

