// SPDX-License-Identifier: Apache-2.0
// Kestrel PORT FOLDER: the routes of the truth tests (the same as httpd.py, but a delay of 59 ms, as timers may be 4 ms early here) by ASP.NET Core's server, HTTP/1.1 and HTTP/2 over TLS, with the certificate of FOLDER (pair.p12).
using System;
using System.Net;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

static class Kestrel
{
	static Task Answer(HttpContext c, int status, string body)
	{
		c.Response.StatusCode = status;
		if (status == 204)
			return Task.CompletedTask;
		c.Response.ContentLength = body.Length;
		return c.Request.Method == "HEAD" ? Task.CompletedTask : c.Response.Body.WriteAsync(Encoding.ASCII.GetBytes(body)).AsTask();
	}

	static async Task Chunks(HttpContext c)
	{
		for (var i = 0; i < 5; i++)
		{
			await c.Response.Body.WriteAsync(Encoding.ASCII.GetBytes(new string('c', 701)));
			await c.Response.Body.FlushAsync();
		}
	}

	static async Task One(HttpContext c)
	{
		await c.Request.Body.CopyToAsync(System.IO.Stream.Null);
		switch (c.Request.Path.Value.Split('/')[1])
		{
			case "items": await Answer(c, c.Request.Method == "DELETE" ? 204 : 200, "one item\n"); break;
			case "upload": await Answer(c, 201, "stored\n"); break;
			case "big": await Answer(c, 200, new string('b', 200003)); break;
			case "chunks": await Chunks(c); break;
			case "slow": await Task.Delay(59); await Answer(c, 200, "at last\n"); break;
			case "fail": await Answer(c, 500, "no\n"); break;
			case "busy": await Answer(c, 503, "later\n"); break;
			default: await Answer(c, 404, "none\n"); break;
		}
	}

	static void Main(string[] args)
	{
		var certificate = new X509Certificate2(args[1] + "/pair.p12");
		new WebHostBuilder()
			.UseKestrel(o => o.Listen(IPAddress.Loopback, int.Parse(args[0]), l => l.UseHttps(certificate, h => h.SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13)))
			.Configure(app => app.Run(One))
			.Build().Run();
	}
}
