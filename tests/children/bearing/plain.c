/* A libmilter child that does what the mail tells it: "do:accept", "do:reject", "do:tempfail", "do:discard", "do:skip",
 * "do:reply" in a host name, unknown command, address, header or piece of body; "end:reject" in the sender is the verdict
 * at the end. There it adds X-Seen: what it believes to be true of this session, so that what a former one left shows.
 * Usage: plain SOCKET [TIMEOUT-SECONDS] */
#include <libmilter/mfapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct session { char host[128], helo[128], from[128]; int recipients, headers, chunks, messages; };
static struct session *of(SMFICTX *ctx) { return smfi_getpriv(ctx); }

static struct session *fresh(SMFICTX *ctx) {
    struct session *s = of(ctx);
    if (s == NULL) { s = calloc(1, sizeof *s); smfi_setpriv(ctx, s); }
    return s;
}

static sfsistat verdict(SMFICTX *ctx, const char *at);

static sfsistat told(SMFICTX *ctx, const char *text, size_t length) {
    const char *at = memmem(text, length, "do:", 3);
    return at ? verdict(ctx, at + 3) : SMFIS_CONTINUE;
}

static sfsistat verdict(SMFICTX *ctx, const char *at) {
    if (!strncmp(at, "accept", 6)) return SMFIS_ACCEPT;
    if (!strncmp(at, "reject", 6)) return SMFIS_REJECT;
    if (!strncmp(at, "tempfail", 8)) return SMFIS_TEMPFAIL;
    if (!strncmp(at, "discard", 7)) return SMFIS_DISCARD;
    if (!strncmp(at, "skip", 4)) return SMFIS_SKIP;
    if (!strncmp(at, "reply", 5)) { smfi_setreply(ctx, "550", "5.7.1", "told so"); return SMFIS_REJECT; }
    return SMFIS_CONTINUE;
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long a, unsigned long p, unsigned long u, unsigned long v,
                             unsigned long *oa, unsigned long *op, unsigned long *ou, unsigned long *ov) {
    *oa = a & (SMFIF_ADDHDRS | SMFIF_CHGHDRS); *op = p & SMFIP_SKIP; *ou = *ov = 0;
    return SMFIS_CONTINUE;
}
static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address) {
    snprintf(fresh(ctx)->host, 128, "%s", host); return told(ctx, host, strlen(host));
}
static sfsistat on_helo(SMFICTX *ctx, char *name) {
    snprintf(fresh(ctx)->helo, 128, "%s", name); return told(ctx, name, strlen(name));
}
static sfsistat on_mail(SMFICTX *ctx, char **args) {
    struct session *s = fresh(ctx);
    snprintf(s->from, 128, "%s", args[0]); s->recipients = s->headers = s->chunks = 0; s->messages++;
    return told(ctx, args[0], strlen(args[0]));
}
static sfsistat on_rcpt(SMFICTX *ctx, char **args) { fresh(ctx)->recipients++; return told(ctx, args[0], strlen(args[0])); }
static sfsistat on_data(SMFICTX *ctx) { return SMFIS_CONTINUE; }
static sfsistat on_header(SMFICTX *ctx, char *name, char *value) {
    fresh(ctx)->headers++; return told(ctx, value, strlen(value));
}
static sfsistat on_eoh(SMFICTX *ctx) { return SMFIS_CONTINUE; }
static sfsistat on_body(SMFICTX *ctx, unsigned char *piece, size_t length) {
    fresh(ctx)->chunks++; return told(ctx, (char *)piece, length);
}
static const char *macro(SMFICTX *ctx, char *name) { char *v = smfi_getsymval(ctx, name); return v ? v : "-"; }
static sfsistat on_end(SMFICTX *ctx) {
    struct session *s = fresh(ctx);
    char seen[1024];
    snprintf(seen, sizeof seen, "host=%s helo=%s from=%s rcpts=%d headers=%d chunks=%d messages=%d j=%s tls=%s auth=%s i=%s",
             s->host, s->helo, s->from, s->recipients, s->headers, s->chunks, s->messages, macro(ctx, "j"),
             macro(ctx, "{tls_version}"), macro(ctx, "{auth_type}"), macro(ctx, "i"));
    smfi_addheader(ctx, "X-Seen", seen);
    const char *end = strstr(s->from, "end:");
    return end ? verdict(ctx, end + 4) : SMFIS_CONTINUE;
}
static sfsistat on_abort(SMFICTX *ctx) { return SMFIS_CONTINUE; }
static sfsistat on_close(SMFICTX *ctx) { free(of(ctx)); smfi_setpriv(ctx, NULL); return SMFIS_CONTINUE; }
static sfsistat on_unknown(SMFICTX *ctx, const char *line) { return told(ctx, line, strlen(line)); }

int main(int count, char **args) {
    static struct smfiDesc child = {
        "plain", SMFI_VERSION, SMFIF_ADDHDRS | SMFIF_CHGHDRS, on_connect, on_helo, on_mail, on_rcpt, on_header, on_eoh,
        on_body, on_end, on_abort, on_close, on_unknown, on_data, on_negotiate };
    umask(0);
    if (count > 2) smfi_settimeout(atoi(args[2]));
    if (smfi_setconn(args[1]) == MI_FAILURE || smfi_register(child) == MI_FAILURE) return 1;
    return smfi_main();
}
