# Functions that the scripts beside this file share. POSIX sh; sourced, never run. The caller has set `set -eu` and
# stands in the root of the project.

# The oldest Rust that builds this (Cargo.toml, rust-version).
RUST_MIN=$(sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' Cargo.toml)

# Whether the desktop app can be compiled: only Linux needs libraries for it that a system does not have anyway.
desktop_can_be_built() {
    [ "$(uname -s)" = Linux ] || return 0
    has pkg-config && pkg-config --exists webkit2gtk-4.1 ayatana-appindicator3-0.1 dbus-1
}

# Whether there is a display to show windows on.
has_display() {
    [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]
}

# Where the Python packages of the tests are installed.
VENV=target/sdk-venv

# rustup puts itself here; a shell that was open before it came does not know that yet.
PATH="$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin"
export PATH

say() { printf '%s\n' "$*" >&2; }

has() { command -v "$1" >/dev/null 2>&1; }

# Which package manager this system has.
packager() {
    case "$(uname -s)" in
        Darwin) echo brew ;;
        MINGW* | MSYS* | CYGWIN*) echo winget ;;
        *)
            for name in apt-get dnf pacman; do
                if has "$name"; then
                    echo "$name"
                    return
                fi
            done
            echo none
            ;;
    esac
}

# package NEED: what the packages for it are called here.
package() {
    case "$1 $(packager)" in
        'cc apt-get') echo build-essential ;;
        'cc pacman') echo base-devel ;;
        'cc dnf') echo gcc ;;
        'cc '*) echo a C compiler, ;;
        'python apt-get') echo python3 python3-venv ;;
        'python dnf') echo python3 python3-pip ;;
        'python winget') echo Python.Python.3.13 ;;
        'python none') echo Python 3 with venv, ;;
        'python '*) echo python ;;
        'browser brew') echo google-chrome ;;
        'browser winget') echo Google.Chrome ;;
        'browser '*) echo chromium ;;
        'make '*) echo make ;;
        'desktop apt-get') echo libwebkit2gtk-4.1-dev libayatana-appindicator3-dev libdbus-1-dev pkg-config ;;
        'desktop dnf') echo webkit2gtk4.1-devel libayatana-appindicator-gtk3-devel dbus-devel pkgconf-pkg-config ;;
        'desktop pacman') echo webkit2gtk-4.1 libayatana-appindicator dbus pkgconf ;;
        'desktop '*) echo WebKitGTK 4.1 and libayatana-appindicator with headers, ;;
        'screen apt-get') echo xvfb dbus webkit2gtk-driver xdotool xclip fonts-noto-cjk ;;
        'screen dnf') echo xorg-x11-server-Xvfb dbus-daemon webkit2gtk4.1 xdotool xclip ;;
        'screen pacman') echo xorg-server-xvfb dbus webkit2gtk-4.1 xdotool xclip ;;
        'screen '*) echo Xvfb, dbus-daemon, WebKitWebDriver, xdotool and xclip, ;;
        'node apt-get' | 'node pacman') echo nodejs npm ;;
        'node winget') echo OpenJS.NodeJS.LTS ;;
        'node brew') echo node ;;
        'node '*) echo nodejs ;;
    esac
}

# line NEED...: the one line that a person types on this system.
line() {
    packages=
    for need in "$@"; do
        if [ "$need" = cc ] && [ "$(packager)" = brew ]; then
            echo 'xcode-select --install'
        else
            packages="$packages $(package "$need")"
        fi
    done
    [ -n "$packages" ] || return 0
    case "$(packager)" in
        apt-get) echo "sudo apt-get install -y --no-install-recommends$packages" ;;
        dnf) echo "sudo dnf install -y$packages" ;;
        pacman) echo "sudo pacman -S --needed$packages" ;;
        brew) echo "brew install$packages" ;;
        winget) echo "winget install$packages" ;;
        none) echo "with your package manager:${packages%,}" ;;
    esac
}

# May we? Asks at a terminal; without one nobody can answer, so yes.
may() {
    [ -t 0 ] && [ -t 2 ] || return 0
    printf '%s [Y/n] ' "$1" >&2
    read -r answer || return 1
    case "$answer" in '' | y* | Y*) return 0 ;; *) return 1 ;; esac
}

# Runs a command as root; fails where there is no way to become root.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo && [ -t 0 ]; then
        sudo "$@"
    elif has sudo; then
        sudo -n "$@"
    else
        return 1
    fi
}

# install NEED...: installs it with apt, or says how and fails.
install() {
    [ $# -gt 0 ] || return 0
    if [ "$(packager)" = apt-get ] && { [ "$(id -u)" = 0 ] || has sudo; }; then
        packages=$(for need in "$@"; do package "$need"; done | tr '\n' ' ')
        if may "Install $packages with apt?"; then
            say "Installing $packages"
            # An index that is half updated still serves most packages.
            as_root apt-get update -qq || true
            # shellcheck disable=SC2086 # several packages
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null && return 0
        fi
    fi
    say "Install what is missing and try again:"
    line "$@" | sed 's/^/    /' >&2
    return 1
}

# Whether C programs can be compiled: the compiler alone is no use without the C library's headers.
c_compiler_works() {
    case "$(uname -s)" in MINGW* | MSYS* | CYGWIN*) return 0 ;; esac # rustup checks for Microsoft's tools itself
    ${CC:-cc} -x c -o /dev/null - >/dev/null 2>&1 <<'C'
#include <stdlib.h>
int main(void) { return EXIT_SUCCESS; }
C
}

# at_least WANTED FOUND: compares major.minor versions.
at_least() {
    want_major=${1%%.*} want_rest=${1#*.}
    found_major=${2%%.*} found_rest=${2#*.}
    [ "$found_major" -gt "$want_major" ] ||
        { [ "$found_major" -eq "$want_major" ] && [ "${found_rest%%.*}" -ge "${want_rest%%.*}" ]; }
}

rust_is_new_enough() {
    version=$(rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p')
    [ -n "$version" ] && has cargo && at_least "$RUST_MIN" "$version"
}

# need_rust: cargo and rustc, new enough.
need_rust() {
    rust_is_new_enough && return 0
    if has rustup && may "Rust $RUST_MIN or newer is needed (found: ${version:-none}). Run 'rustup update stable'?"; then
        rustup update stable >&2
        rustup default >/dev/null 2>&1 || rustup default stable >&2
        rust_is_new_enough && return 0
    fi
    if has rustup; then
        say "Rust $RUST_MIN or newer is needed, and this folder uses ${version:-none}. To use the newest one:"
        say "    rustup update stable && rustup default stable"
        return 1
    fi
    say "Rust $RUST_MIN or newer is needed (found: ${version:-none}). Install it with rustup (https://rustup.rs) and try again:"
    case "$(packager)" in
        winget) say "    winget install Rustlang.Rustup" ;;
        *) say "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" ;;
    esac
    return 1
}

# The oldest Node.js that builds the admin UI (ui/package.json, engines).
NODE_MIN=20.19

node_is_new_enough() {
    node_version=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\.[0-9]*\).*/\1/p')
    [ -n "$node_version" ] && has npm && at_least "$NODE_MIN" "$node_version"
}

# need_node: Node.js and npm, new enough for the admin UI.
need_node() {
    node_is_new_enough && return 0
    if [ -z "$node_version" ] && [ "$(packager)" != none ]; then
        install node && node_is_new_enough && return 0
    fi
    say "Node.js $NODE_MIN or newer with npm is needed for the admin UI (found: ${node_version:-none}): https://nodejs.org/en/download"
    return 1
}

# need_ui: the packages that the admin UI is built from, as its lock file names them.
need_ui() {
    [ ui/node_modules/.package-lock.json -nt ui/package-lock.json ] && return 0
    say "Installing the packages of the admin UI"
    npm --prefix ui ci --no-audit --no-fund --silent >&2
    touch ui/node_modules/.package-lock.json
}

# A browser that can run headless: PICGATE_CHROMIUM, or the first one there is.
find_browser() {
    if [ -n "${PICGATE_CHROMIUM:-}" ]; then
        echo "$PICGATE_CHROMIUM"
        return
    fi
    for name in chromium google-chrome-stable google-chrome chromium-browser \
        '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome' \
        '/Applications/Chromium.app/Contents/MacOS/Chromium' \
        '/c/Program Files/Google/Chrome/Application/chrome.exe'; do
        if has "$name"; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# The Python of the tests' virtual environment.
venv_python() {
    for path in "$VENV/bin/python" "$VENV/Scripts/python.exe"; do
        if [ -x "$path" ]; then
            echo "$PWD/$path"
            return
        fi
    done
    return 1
}

find_python() {
    for name in python3 python; do
        if has "$name" && "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    return 1
}

# need_sdk: a virtual environment with what tests/sdk/requirements.txt pins. Made again when that has changed.
need_sdk() {
    cmp -s tests/sdk/requirements.txt "$VENV/installed.txt" && venv_python >/dev/null && return 0
    say "Installing the Python packages of the tests (OpenAI's SDK, moto) into $VENV"
    rm -rf "$VENV"
    mkdir -p target
    "$(find_python)" -m venv "$VENV"
    "$(venv_python)" -m pip install --quiet --disable-pip-version-check -r tests/sdk/requirements.txt >&2
    cp tests/sdk/requirements.txt "$VENV/installed.txt"
}
