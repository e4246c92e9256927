# shellcheck shell=bash
# nginx: files of many sizes, plain and compressed, fetched one by one, under load, and while it reloads its settings.
# SPDX-License-Identifier: Apache-2.0

nginx_settings() {
  cat <<END
worker_processes 2;
error_log $1/error.log;
pid $1/pid;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path $1/body; proxy_temp_path $1/proxy; fastcgi_temp_path $1/fastcgi;
  uwsgi_temp_path $1/uwsgi; scgi_temp_path $1/scgi;
  gzip on; gzip_types text/plain; gzip_min_length 100;
  server { listen 127.0.0.1:$2; root $1/files; default_type text/plain; location /proxy/ { proxy_pass http://127.0.0.1:$2/; } }
}
END
}

nginx_run() {
  local folder=$work/nginx.$way port size seconds
  port=$(free_port)
  seconds=$(pick 3 15)
  become nobody
  mkdir -p "$folder/files"
  for size in 0 10 1000 30000 200000 3000000; do
    perl -e 'print chr(97 + $_ * $_ % 26) for 1 .. shift' $size >"$folder/files/$size"
  done
  nginx_settings "$folder" "$port" >"$folder/settings"
  chmod 777 "$folder"
  serve "${as[@]}" "${run[@]}" /usr/sbin/nginx -e "$folder/error.log" -c "$folder/settings" -g 'daemon off;'
  wait_until 10 curl -sf "http://127.0.0.1:$port/10" && serves_as_wanted || return
  for size in 0 10 1000 30000 200000 3000000; do
    for path in "$size" "proxy/$size"; do
      curl -sf "http://127.0.0.1:$port/$path" | sha256sum
      curl -sf --compressed "http://127.0.0.1:$port/$path" | sha256sum
    done
  done
  for path in 1000 30000 proxy/200000; do
    load -t 2 -c 40 -d "$seconds" -H 'Accept-Encoding: gzip' "http://127.0.0.1:$port/$path" || return
  done
  # A reload under load replaces the workers, which close their connections, but fail no request.
  wrk -t 1 -c 20 -d "$seconds" "http://127.0.0.1:$port/30000" >"$work/wrk" &
  local loading=$!
  for _ in 1 2 3; do
    kill -HUP "$(cat "$folder/pid")"
    sleep 0.5
  done
  wait $loading && grep -c 'Non-2xx' "$work/wrk"
  stop || return
  grep -E 'alert|emerg|exited on signal' "$folder/error.log" >&2 && return 1
  return 0
}

compare "nginx: files, compression, load, reload" nginx_run
